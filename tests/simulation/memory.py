"""What is pure is computed once: a world reads the same bytes over and over.

Only functions of nothing but what cannot change are remembered, by all that they are given; where a mutant
has taken the place of one, it is asked. What was written is remembered as what it was made of: that a reader
gets just this back is for the tests of the format to show, and for the worlds that remember nothing.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, wraps
from types import ModuleType
from typing import Any

from modeltrail_collector import judge
from modeltrail_collector.log import avro, digest, parts, retention, rollup, segment
from modeltrail_collector.log.segment import Segment
from modeltrail_collector.model import Entry

FORGETFUL = 27
"""Of so many worlds one remembers nothing; no multiple of how often kinds come, so of each kind some do."""

_blocks, _entries, _check = avro.blocks, avro.entries, digest.check
_seal, _read_header, _judge = segment.seal, segment.read_header, judge.judge
_judged = lru_cache(4096)(_judge)


class Memory:
    """Of one world."""

    def __init__(self) -> None:
        self._written: dict[bytes, tuple[Entry, ...]] = {}
        self.records: dict[bytes, tuple[Entry, ...]] = {}
        self.digests: dict[bytes, str] = {}
        self.headers: dict[tuple[str, bytes], Segment] = {}

    def pure(self) -> Iterator[tuple[ModuleType, str, Callable[..., Any], Callable[..., Any]]]:
        """Each function that is remembered: where it is used, its name, itself, and what asks it once."""
        yield avro, "blocks", _blocks, self.blocks
        yield avro, "entries", _entries, self.entries
        yield digest, "check", _check, self.check
        yield judge, "judge", _judge, _judged
        for user in (segment, parts):
            yield user, "seal", _seal, self.seal
        for user in (segment, rollup, retention):
            yield user, "read_header", _read_header, self.read_header

    def blocks(self, entries: Iterable[Entry], sync: bytes) -> Iterator[bytes]:
        found = tuple(entries)
        made = list(_blocks(found, sync))
        if len(made) == 1:
            self._written[made[0]] = found
        return iter(made)

    def seal(self, header: Segment, blocks: Iterable[bytes], sync: bytes) -> tuple[Segment, bytes]:
        made = list(blocks)
        found, data = _seal(header, made, sync)
        self.headers[found.name, data], self.digests[data] = found, found.sha256
        if all(block in self._written for block in made):
            self.records[data] = tuple(entry for block in made for entry in self._written[block])
        return found, data

    def read_header(self, name: str, data: bytes) -> Segment:
        if (name, data) not in self.headers:
            self.headers[name, data] = _read_header(name, data)
        return self.headers[name, data]

    def check(self, data: bytes) -> str:
        if data not in self.digests:
            self.digests[data] = _check(data)
        return self.digests[data]

    def entries(self, data: bytes) -> Iterator[Entry]:
        """Of a bad file as far as it goes, as without a memory."""
        if data not in self.records:
            with contextlib.suppress(Exception):
                self.records[data] = tuple(_entries(data))
        return iter(self.records[data]) if data in self.records else _entries(data)


@contextlib.contextmanager
def memory(seed: int) -> Iterator[None]:
    """Within this, which is the world of a seed, what is pure is remembered."""
    with contextlib.ExitStack() as stack:
        for user, name, plain, remembered in Memory().pure() if seed % FORGETFUL else ():
            if getattr(user, name) is plain:
                stack.callback(setattr, user, name, plain)
                setattr(user, name, remembered)
        yield


def remembering(play: Callable[[Any], None]) -> Callable[[Any], None]:
    """Play a world with a memory of its own."""

    @wraps(play)
    def inner(world: Any) -> None:
        with memory(world.seed):
            play(world)

    return inner
