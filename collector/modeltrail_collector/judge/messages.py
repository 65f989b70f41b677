"""How a reason says where something is, and what was found there."""

import functools
import json
from collections.abc import Iterable
from typing import Final

from modeltrail_collector.judge.codes import Code
from modeltrail_collector.model import Reason

_MAX_SEEN: Final = 80
_MAX_PATH: Final = 300


def reason(code: Code, message: str, path: str = "$") -> Reason:
    """One reason; the path is that of the whole value, and is cut at 300 characters."""
    return Reason(str(code), path if len(path) <= _MAX_PATH else path[:_MAX_PATH] + "...", message)


_show = json.JSONEncoder(ensure_ascii=False).encode


def seen(value: object) -> str:
    """A value as a message shows it: JSON, cut at 80 characters."""
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str) and len(value) > _MAX_SEEN:
        return _show(value[:_MAX_SEEN]) + f"... ({len(value)} characters)"
    return _show(value)


def json_path(steps: Iterable[str | int]) -> str:
    """`$.inputs[0].facets['a.b']`."""
    return functools.reduce(step_into, steps, "$")


def step_into(path: str, step: str | int) -> str:
    """The path of a member or an item."""
    if len(path) > _MAX_PATH:
        return path
    if isinstance(step, int):
        return f"{path}[{step}]"
    if step.isidentifier():
        return f"{path}.{step}"
    # A key may hold half of a surrogate pair, which no log can.
    name = step[:_MAX_PATH].encode(errors="replace").decode()
    return f"{path}['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"
