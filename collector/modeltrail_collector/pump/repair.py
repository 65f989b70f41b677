"""Repair: what is damaged in the log is collected again, and says so for ever.

::

    find       every file of the chain is checked (`log.damage`)
    read       the range is read from the topic again, and judged
    evidence   the damaged file is kept beside its place, as `….avro.bad-<digest>`
    replace    the new segment takes the place, if that still holds the damaged file

Each step can be repeated; whoever dies in between leaves the damage or the repair, and perhaps evidence. The
place is never free. Records that are collected again have another time of arrival, so they cannot give the
old links: the new header says that it is a repair, and joins the links of its neighbours.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import chain, pairwise
from typing import Literal

import msgspec

from modeltrail_collector.errors import NotFound
from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import Batch, Gap, Log, parts
from modeltrail_collector.log import segment as segments
from modeltrail_collector.log.damage import Damage, find
from modeltrail_collector.log.segment import Repair, Segment
from modeltrail_collector.log.store import Store
from modeltrail_collector.model import LOCAL, LogPartition
from modeltrail_collector.pump.recollect import Recollector

DAMAGED = "damaged"
RESTORE = "restore its file from a backup (docs/operations.md), or give the records up with --write-off"
LOCAL_HELP = (
    f"they came from files, not from Kafka: {RESTORE}; then `modeltrail collect --from-files` seals again "
    "what is still in its files"
)


class Outcome(msgspec.Struct, frozen=True):
    """What was done about one damaged range.

    `lost` are the offsets that Kafka has no more, `evidence` is where the damaged file was kept; `message`
    says what to do where nothing was done.
    """

    topic: str
    topic_id: str
    partition: int
    first_offset: int
    next_offset: int | None
    segment: str
    problem: str
    outcome: Literal["repaired", "would be repaired", "not repaired"]
    records: int = 0
    lost: tuple[Gap, ...] = ()
    evidence: str | None = None
    message: str = ""


def repair(
    log: Log,
    recollector: Recollector,
    partitions: Sequence[LogPartition],
    *,
    write_off: bool = False,
    dry_run: bool = False,
) -> Iterator[Outcome]:
    """Repair these chains, range by range.

    Args:
        log: The log.
        recollector: Reads the topics again.
        partitions: The chains.
        write_off: Make a gap of what cannot be had any more, instead of leaving the damage.
        dry_run: Do all but write.

    Raises:
        Unavailable: Kafka or the store does not answer; what was repaired before stays.
    """
    with log.store.lease("raw"):
        for partition in partitions:
            findings = find(log, partition)
            link: str | None = None
            for damage in findings.damages:
                work = _Work(log, damage, damage.chain_start or link, dry_run=dry_run)
                yield work.do(recollector, write_off=write_off)
                link = work.link if work.done else None
            if not dry_run:
                _drop_rollups(log, partition, findings.bad_rollups)


class _ChangedMeanwhile(Exception):  # noqa: N818  named after what happened
    pass


class _Work:
    """The repair of one range. `link` is the one behind what was written so far."""

    def __init__(self, log: Log, damage: Damage, link: str | None, *, dry_run: bool) -> None:
        self.link = link
        self.done = False
        self._log = log
        self._damage = damage
        self._dry_run = dry_run
        self._records = 0
        self._end = damage.first_offset
        self._lost: tuple[Gap, ...] = ()
        self._evidence: str | None = None

    def do(self, recollector: Recollector, *, write_off: bool) -> Outcome:
        damage = self._damage
        try:
            if damage.stray:
                return self._left("find out where it came from, and move it away by hand")
            if damage.rolled:
                self._restub(damage.rolled)
            elif self.link is None:
                return self._left("the range before it has to be repaired first")
            elif damage.partition == LOCAL:
                if not write_off:
                    return self._left(LOCAL_HELP)
                self._write_off()
            elif problem := self._collect(recollector, write_off=write_off):
                return self._left(problem)
        except NotFound as error:
            return self._left(f"{error}; {RESTORE}")
        except _ChangedMeanwhile:
            return self._left("somebody else changed it meanwhile: run it again")
        self.done = True
        return self._outcome("would be repaired" if self._dry_run else "repaired")

    def _collect(self, recollector: Recollector, *, write_off: bool) -> str | None:
        """Write the range as segments; returns why not."""
        damage = self._damage
        claimed = damage.found.gaps if damage.found else ()
        batches = recollector.batches(damage.partition, damage.first_offset, damage.next_offset)
        for batch, following in pairwise(chain(batches, (None,))):
            assert batch is not None  # noqa: S101  only what follows the last one is
            known, lost = _split(batch.gaps, claimed)
            self._lost += lost
            if lost and not write_off:
                return f"Kafka does not have offsets {_ranges(lost)} any more; {RESTORE}"
            gaps = tuple(sorted((*known, *lost), key=lambda gap: gap.first_offset))
            self._write(msgspec.structs.replace(batch, gaps=gaps), is_last=following is None)
        return None

    def _write_off(self) -> None:
        """Without Kafka there is nothing but a gap; how far a torn end went nobody knows."""
        damage = self._damage
        gap = Gap(damage.first_offset, damage.next_offset or damage.first_offset + 1, DAMAGED)
        self._lost = (gap,)
        self._write(Batch(gap.first_offset, gap.next_offset, (), gaps=(gap,)), is_last=True)

    def _write(self, batch: Batch, *, is_last: bool) -> None:
        damage, log = self._damage, self._log
        assert self.link is not None  # noqa: S101  `do` has looked
        instead = not damage.missing and batch.start == damage.first_offset
        old = self._damaged() if instead else None
        told = Repair(damage.problem, sha256(old).hexdigest() if old is not None else "")
        header, data = segments.encode(
            *(damage.partition, batch, self.link, log.wall),
            repair=told,
            chain_end=damage.chain_end if is_last else None,
        )
        if not self._dry_run:
            self._put(header.name, old, data)
        self._records += header.rows
        self._end, self.link = header.next_offset, header.chain_end

    def _restub(self, rolled: Segment) -> None:
        """The records are in a roll-up, which also knows what the stub has to say."""
        damage = self._damage
        header, data = parts.stub_of(rolled, damage.first_offset)
        if not self._dry_run:
            self._put(damage.name, None if damage.missing else self._damaged(), data)
        self._records, self._end, self.link = header.rows, header.next_offset, header.chain_end

    def _damaged(self) -> bytes:
        """The bad file as it was found; a collector may have set it aside since, and sealed a sound one."""
        try:
            data = self._log.store.read(self._damage.name)
        except FileNotFoundError as error:
            raise _ChangedMeanwhile from error
        if sha256(data).hexdigest() != self._damage.sha256:
            raise _ChangedMeanwhile
        return data

    def _put(self, name: str, old: bytes | None, data: bytes) -> None:
        """Create the file, or keep the old one as evidence and replace it."""
        store = self._log.store
        if old is None:
            done = store.create(name, data)
        else:
            self._evidence = keep(store, name, old)
            done = store.replace(name, old, data)
        if not done:
            raise _ChangedMeanwhile
        reached("segment_repaired")

    def _left(self, message: str) -> Outcome:
        return self._outcome("not repaired", message)

    def _outcome(
        self, outcome: Literal["repaired", "would be repaired", "not repaired"], message: str = ""
    ) -> Outcome:
        damage = self._damage
        return Outcome(
            *(damage.partition.topic, damage.partition.topic_id, damage.partition.partition),
            first_offset=damage.first_offset,
            next_offset=self._end if self.done else damage.next_offset,
            segment=damage.name,
            problem=damage.problem,
            outcome=outcome,
            records=self._records,
            lost=self._lost,
            evidence=self._evidence,
            message=message,
        )


def keep(store: Store, name: str, data: bytes) -> str:
    """Keep a bad file beside its place; returns where. Keeping it twice keeps it once."""
    evidence = f"{name}.bad-{sha256(data).hexdigest()[:16]}"
    store.create(evidence, data)
    reached("evidence_kept")
    return evidence


def _drop_rollups(log: Log, partition: LogPartition, names: Sequence[str]) -> None:
    """Set bad roll-ups aside that no stub names any more."""
    if not names:
        return
    still = {place.found.rolled_into for place in find(log, partition).damages if place.found}
    for name in names:
        if name not in still:
            keep(log.store, name, log.store.read(name))
            log.store.remove(name)


def _split(gaps: Sequence[Gap], claimed: Sequence[Gap]) -> tuple[tuple[Gap, ...], tuple[Gap, ...]]:
    """Which offsets the damaged header already called a gap, and which are lost now."""
    known, lost = [], []
    for gap in gaps:
        at = gap.first_offset
        for claim in claimed:
            first, end = max(at, claim.first_offset), min(gap.next_offset, claim.next_offset)
            if first < end:
                if at < first:
                    lost.append(Gap(at, first, DAMAGED))
                known.append(Gap(first, end, claim.reason))
                at = end
        if at < gap.next_offset:
            lost.append(Gap(at, gap.next_offset, DAMAGED))
    return tuple(known), tuple(lost)


def _ranges(gaps: Sequence[Gap]) -> str:
    return ", ".join(f"{gap.first_offset} to {gap.next_offset - 1}" for gap in gaps)
