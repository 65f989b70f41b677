"""Copies of what was fitted: each is what it was copied of, as that was then."""

from collections.abc import Mapping, Sequence
from typing import Any

from modeltrail import api
from modeltrail.integrations import _calls
from modeltrail.integrations._frames import Function
from modeltrail.observe import loads
from modeltrail.runs import learned


def observe_state(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """An object has got its state: by the module `copy`, which knows of which other one."""
    del kwargs
    frame = _calls.going_on("copy", "_reconstruct")
    known = {} if frame is None else frame.f_locals
    if known.get("y") is args[0]:
        _copied(known["x"], args[0])


def observe_copy(_: Function, copied: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """An object makes a copy of itself."""
    del kwargs
    _copied(args[0], copied)


def _copied(original: object, copied: object) -> None:
    if (run := api.current_run()) is not None:
        run.facts.fits.copied(original, copied)
    learned.copied(original, copied)
    loads.copied(original, copied)
