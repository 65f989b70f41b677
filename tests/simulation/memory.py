"""What is pure is computed once: a world reads the same bytes over and over.

Only functions of nothing but what cannot change are remembered, by all that they are given; where a mutant
has taken the place of one, it is asked.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

from modeltrail_collector import judge
from modeltrail_collector.log import avro, digest, retention, rollup, segment
from modeltrail_collector.model import Entry

KEPT = 4096


@lru_cache(KEPT)
def _whole(data: bytes) -> tuple[Entry, ...] | None:
    try:
        return tuple(_entries(data))
    except Exception:
        return None


def _remembered_entries(data: bytes) -> Iterator[Entry]:
    """Of a bad file as far as it goes, as without a memory."""
    found = _whole(data)
    return _entries(data) if found is None else iter(found)


_entries, _header = avro.entries, lru_cache(KEPT)(segment.read_header)

PURE: tuple[tuple[ModuleType, str, Callable[..., Any], Callable[..., Any]], ...] = (
    (avro, "entries", _entries, _remembered_entries),
    (digest, "check", digest.check, lru_cache(KEPT)(digest.check)),
    (judge, "judge", judge.judge, lru_cache(KEPT)(judge.judge)),
    *((module, "read_header", segment.read_header, _header) for module in (segment, rollup, retention)),
)


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """Within this what is pure is remembered, by the whole process."""
    with contextlib.ExitStack() as stack:
        for module, name, plain, remembered in PURE:
            if getattr(module, name) is plain:
                stack.callback(setattr, module, name, plain)
                setattr(module, name, remembered)
        yield
