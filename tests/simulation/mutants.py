"""The simulation, tried: one guard of the production code taken away at a time, and it must fail.

Some guards stand in pairs: with one of the two gone the other turns a slip into a retry, and nothing is lost.
Such a mutant is marked `harmless`, and the pair of both is a mutant of its own.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.log import Log, parts, retention
from modeltrail_collector.log import segment as segments
from modeltrail_collector.log.chain import extend, genesis
from modeltrail_collector.log.rollup import RollUp
from modeltrail_collector.log.segment import Head
from modeltrail_collector.pump import Pump
from modeltrail_collector.pump.builder import Builder
from modeltrail_collector.testing import MemorySource
from simulation import actors, plan
from simulation.broker import Member
from simulation.keepers import KeepersWorld
from simulation.kinds import Playable
from simulation.process import Outcome
from simulation.store import Lease, Media, ProcessStore
from simulation.world import World


class Mutant(msgspec.Struct, frozen=True):
    """What is taken away, and how; `harmless`: why another guard is enough.

    Where a guard is against few accidents, its worlds have more of those (`focus`), or nothing else (`kind`).
    """

    what: str
    patches: tuple[tuple[Any, str, Callable], ...]
    harmless: str = ""
    focus: tuple[str, ...] = ()
    kind: Callable[[int], Playable] | None = None

    def world(self, seed: int) -> Playable:
        """The world of a seed in which it is hunted."""
        return self.kind(seed) if self.kind else World(plan.make(seed, frozenset(self.focus)))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for owner, name, new in self.patches:
                stack.callback(setattr, owner, name, owner.__dict__[name])
                setattr(owner, name, new)
            yield


_assigned, _gather, _seal = Pump._assigned, Pump._gather, Pump._seal
_seek_unsought, _stub = Pump._seek_unsought, RollUp._stub
_source_assigned, _source_poll = MemorySource._assigned, MemorySource.poll
_member_poll, _due = Member.poll, Pump._due
_too_old = retention.too_old


def _no_seek(self, assigned) -> None:
    """What stays ours is read on where it stood; only what is new is sought."""
    kept = {p: Builder(p, b.end, now=self._clock()) for p, b in self._builders.items() if p in assigned}
    _assigned(self, assigned)
    self._builders |= kept
    self._unsought -= kept.keys()


def _positions_kept(self):
    """kafka-python keeps the positions of partitions that stay."""
    kept, same = dict(self._positions), self._topic_id == self._topic.topic_id
    polled = _source_assigned(self)
    self._positions = {n: at for n, at in kept.items() if n in self._ours and same}
    return polled


def _no_drop(self, assigned) -> None:
    """What was read and not sealed is kept, and what is read anew comes behind it."""
    kept = dict(self._builders)
    _assigned(self, assigned)
    self._builders |= kept


def _kept_when_sought(self) -> None:
    kept = dict(self._builders)
    _seek_unsought(self)
    self._builders |= kept


def _any_start(self, fetched) -> None:
    """What comes is taken, wherever it begins."""
    builder = self._builders.get(fetched.partition)
    if builder is not None and not fetched.gap and fetched.start != builder.end:
        fetched = msgspec.structs.replace(fetched, start=builder.end)
    _gather(self, fetched)


def _any_offset(self, entry) -> None:
    self.end = entry.offset + 1
    self.entries.append(entry)


def _any_end(self, end) -> None:
    self.end = end


def _believing_append(self, partition, batch):
    """Whoever appends is believed to begin where the log ends; the name is still created only once."""
    last = self._heads.get(partition) or self._last(partition)
    head = Head(last.next_offset, last.chain_end) if last else Head(0, genesis(partition))
    segment, data = segments.encode(partition, batch, head.chain_end, self.wall)
    if self.store.create(segment.name, data):
        self._heads[partition] = segment
        return segment
    return self._already_sealed(partition, batch)


def _overwrite(self, name, data) -> bool:
    self.write(name, data)
    return True


def _never_ours(self, partition, batch):
    self._heads.pop(partition, None)
    raise OwnershipLost("somebody was faster")


def _always_ours(self, partition, batch):
    self._heads.pop(partition, None)
    return self.header(segments.name_of(partition, batch.start))


def _skip_forgets(self, end, reason) -> bool:
    self.advance(end)
    return True


def _no_again(self, partition) -> None:
    """After a lost race it goes on as if nothing were."""


def _forgetful_seal(self, builder) -> None:
    """What is to be sealed is let go first."""
    self._builders[builder.partition] = Builder(builder.partition, builder.end, now=self._clock())
    _seal(self, builder)


def _no_pause(self) -> None:
    pass


def _unchecked(name, data) -> None:
    pass


def _first_record(self, judge_id, files=()):
    start = self.entries[0].offset if self.entries else self.start
    return segments.Batch(start, self.end, tuple(self.entries), files, tuple(self._gaps), judge_id)


def _stubs_first(self, group) -> None:
    taken, data = self._gather(group)
    if len(taken) > 1:
        name = segments.name_of_rollup(self._partition, taken[0].first_offset, taken[-1].next_offset)
        for segment in taken:
            now = self._log.store.read(segment.name)
            self._log.store.replace(segment.name, now, parts.stub(segment, name)[1])
        self._log.store.create(name, data)


def _removed_instead(self, name, expected, data) -> bool:
    self.write(name, None)
    return True


def _never_named(self, part, rolled) -> bool:
    _stub(self, part, rolled)
    return False


def _not_lasting(log, partition, start):
    return (segment for segment in log.segments(partition, start) if segment.next_offset > start)


def _no_sync(self, folder) -> int:
    return 0


def _never_moved(self, segment) -> None:
    """Who reads does not look where the records went that were rolled up meanwhile."""


def _unsynced_when_sealed(self, partition, batch):
    self._heads.pop(partition, None)
    found = self.header(segments.name_of(partition, batch.start))
    if found.next_offset == batch.end and found.chain_end == extend(found.chain_start, batch.entries):
        return found
    raise OwnershipLost("somebody was faster")


def _the_last_too(found, now, keep):
    """As if behind the last segment there were another that is as old."""
    found = list(found)
    return _too_old([*found, *found[-1:]], now, keep)


def _too_young(found, now, keep):
    return _too_old(found, now, keep / 4)


def _no_total(self):
    """What is full or old is sealed; how much waits in all is not asked."""
    limits = self._limits
    self._limits = msgspec.structs.replace(limits, total_bytes=1 << 40)
    due = _due(self)
    self._limits = limits
    return due


def _one_topic(self, timeout_s):
    """A topic that was made again is read on."""
    self._topic_id = self._topic.topic_id
    return _source_poll(self, timeout_s)


def _moves_on(self, timeout_s):
    """The client has moved on behind the records of a poll that failed."""
    heard = self._ask("poll") is Outcome.OK
    process, self.process = self.process, None  # it has been asked
    try:
        polled = _member_poll(self, timeout_s)
    finally:
        self.process = process
    if not heard and polled.assigned is None:
        raise Unavailable("the broker does not answer")
    return polled


def _without_compare(self, name, expected, data) -> bool:
    self.write(name, data)
    return True


_NO_SEEK = ((Pump, "_assigned", _no_seek), (MemorySource, "_assigned", _positions_kept))
_NO_DROP = ((Pump, "_assigned", _no_drop), (Pump, "_seek_unsought", _kept_when_sought))
_BELIEVED = ((Log, "append", _believing_append),)
_ANY_START = ((Pump, "_gather", _any_start),)
_ANY_OFFSET = ((Builder, "add", _any_offset), (Builder, "advance", _any_end))
_LET_GO = ((Pump, "_seal", _forgetful_seal),)

_REBALANCES = ("rebalance", "deaf", "hear", "join", "leave")
_ANEW = ("sweep", "recreate")
_POWER = ("unsynced", "power", "crash")
_NOT_REWOUND = ((Member, "poll", _moves_on),)

MUTANTS = (
    Mutant("no seek on assign", _NO_SEEK, focus=_REBALANCES),
    Mutant("no seek on assign, and the log believes where a batch begins", (*_NO_SEEK, *_BELIEVED)),
    Mutant("no buffer drop on assign", _NO_DROP, focus=_ANEW),
    Mutant("no buffer drop, and what comes may begin anywhere", (*_NO_DROP, *_ANY_START)),
    Mutant("no buffer drop, any beginning, any offset", (*_NO_DROP, *_ANY_START, *_ANY_OFFSET)),
    Mutant("no put-if-absent", ((Media, "create", _overwrite),)),
    Mutant(
        "an unknown outcome counts as a lost race",
        ((Log, "_already_sealed", _never_ours),),
        harmless="the pump seeks the end of the log, which is behind what it had sealed",
    ),
    Mutant("an unknown outcome counts as a success", ((Log, "_already_sealed", _always_ours),)),
    Mutant("a gap is forgotten", ((Builder, "skip", _skip_forgets),)),
    Mutant("no seek after a lost race", ((Pump, "_seek_again", _no_again),)),
    Mutant("the buffer goes before it is sealed", _LET_GO, focus=_ANEW),
    Mutant("the buffer goes before it is sealed, and the log believes", (*_LET_GO, *_BELIEVED)),
    Mutant("no pause while the store is away", ((MemorySource, "pause", _no_pause),)),
    Mutant("a torn segment is believed", ((Log, "_check", staticmethod(_unchecked)),), focus=_POWER),
    Mutant("a batch begins at its first record", ((Builder, "batch", _first_record),)),
    Mutant("a segment is emptied before its roll-up is written", ((RollUp, "_roll_up", _stubs_first),)),
    Mutant("a roll-up frees the names", ((Media, "replace", _removed_instead),)),
    Mutant("a roll-up is removed while stubs name it", ((RollUp, "_stub", _never_named),)),
    Mutant(
        "no lease check in the roll-up",
        ((Lease, "check", _no_pause),),
        harmless="each segment is exchanged once, for a stub of one of two overlapping roll-ups",
        kind=KeepersWorld,
    ),
    Mutant(
        "tables take up what a power cut may take away",
        ((actors, "segments_from", _not_lasting),),
        focus=("follow", "retention", *_POWER),
    ),
    Mutant("a name counts before it is synced", ((ProcessStore, "clean", _no_sync),), focus=_POWER),
    Mutant(
        "a reader does not follow a roll-up", ((Log, "_moved", _never_moved),), focus=("follow", "maintain")
    ),
    Mutant(
        "a name that was found taken counts before it is synced",
        ((Log, "_already_sealed", _unsynced_when_sealed),),
        focus=("unsynced", "power", "sweep"),
    ),
    Mutant(
        "retention takes the last segment too", ((retention, "too_old", _the_last_too),), focus=("maintain",)
    ),
    Mutant("retention takes what is too young", ((retention, "too_old", _too_young),), focus=("maintain",)),
    Mutant("nobody asks how much waits in all", ((Pump, "_due", _no_total),)),
    Mutant("a topic that was made again is read on", ((MemorySource, "poll", _one_topic),), focus=_ANEW),
    Mutant("a failed poll is not rewound", _NOT_REWOUND, focus=("fault",)),
    Mutant("a failed poll is not rewound, and what comes may begin anywhere", (*_NOT_REWOUND, *_ANY_START)),
    Mutant(
        "no compare in the exchange",
        ((Media, "replace", _without_compare),),
        harmless="who sleeps before it had the lease a call ago: the next one finishes its roll-up",
        kind=KeepersWorld,
    ),
    Mutant(
        "no lease check, and no compare in the exchange",
        ((Lease, "check", _no_pause), (Media, "replace", _without_compare)),
        kind=KeepersWorld,
    ),
)
