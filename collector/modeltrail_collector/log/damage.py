"""What of a chain cannot be trusted, and between which links a replacement has to fit.

Every file of the chain is read and checked by itself; then neighbours are compared. A range is damaged when
its file is bad or missing, when the roll-up with its records is, or when its links contradict others.
"""

import re
from collections.abc import Iterator
from hashlib import sha256

import msgspec

from modeltrail_collector.errors import NotVerified
from modeltrail_collector.log import chain, parts, rollup
from modeltrail_collector.log import segment as segments
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.segment import Part, Segment
from modeltrail_collector.model import LogPartition

_LINK = re.compile("[0-9a-f]{64}")


class Damage(msgspec.Struct, frozen=True):
    """Offsets whose records cannot be had from the log.

    `name` is the place of the first of them. `chain_start` is None when the range before is damaged too, and
    `chain_end`, the link that what follows demands, when nothing follows or that is damaged; `next_offset`
    when the end is torn. `found` is what the header says: only to be trusted of a stub. `rolled` is a sound
    roll-up that has the records: then the place only lacks its stub. `sha256` is that of the bad file, as it
    was found: what is there by now may be sound.
    """

    partition: LogPartition
    name: str
    first_offset: int
    next_offset: int | None
    chain_start: str | None
    chain_end: str | None
    problem: str
    missing: bool = False
    stray: bool = False
    found: Segment | None = None
    rolled: Segment | None = None
    sha256: str = ""


class Findings(msgspec.Struct, frozen=True):
    """The damaged ranges of a chain, in order, and its roll-ups that are bad or that no stub names."""

    damages: tuple[Damage, ...]
    bad_rollups: tuple[str, ...]


class _Place(msgspec.Struct):
    """One name of the chain. Of a `stub` that is sound itself the links count, whatever the problem."""

    name: str
    first_offset: int
    found: Segment | None
    stub: bool
    problem: str
    stray: bool = False
    sha256: str = ""

    @property
    def sound(self) -> Segment | None:
        return None if self.problem else self.found

    @property
    def links(self) -> Segment | None:
        return self.found if self.stub else self.sound


def find(log: Log, partition: LogPartition) -> Findings:
    """Everything that is damaged in a chain. Reads all of it.

    Raises:
        LogFormatError: A newer modeltrail wrote a part of it.
        Unavailable: The store does not answer.
    """
    rollups = _Rollups(log, partition)
    folder = segments.folder_of(partition)
    names = [name for name in log.store.files(folder) if name.endswith(segments.SUFFIX)]
    places = [place for name in names if (place := _look(log, f"{folder}/{name}", rollups))]
    _blame_strays(places)
    _blame_links(partition, [place for place in places if not place.stray])
    return Findings(tuple(_damages(partition, places, rollups)), rollups.bad())


class _Rollups:
    """The roll-ups of a partition, each checked once."""

    def __init__(self, log: Log, partition: LogPartition) -> None:
        self._checked: dict[str, Segment | str] = {}
        for first, end in log.rollups(partition):
            name = segments.name_of_rollup(partition, first, end)
            try:
                self._checked[name] = rollup.check(log, name)
            except (NotVerified, FileNotFoundError) as error:
                self._checked[name] = str(error)

    def bad(self) -> tuple[str, ...]:
        return tuple(name for name, found in self._checked.items() if isinstance(found, str))

    def problem(self, stub: Segment) -> str:
        """Why the records of a stub cannot be had; empty if they can."""
        found = self._checked.get(stub.rolled_into, f"{stub.rolled_into} is missing")
        if isinstance(found, str):
            return found
        return "" if part_of(found, stub.first_offset) else f"its records are not in {found.name}"

    def holding(self, first_offset: int, next_offset: int | None) -> tuple[Segment, Part] | None:
        """A sound roll-up, and its part that begins there and does not reach beyond."""
        for found in self._checked.values():
            part = part_of(found, first_offset) if isinstance(found, Segment) else None
            if isinstance(found, Segment) and part and part.next_offset <= (next_offset or part.next_offset):
                return found, part
        return None

    def link_at(self, offset: int) -> str | None:
        """The link that a part of a sound roll-up goes on from; None where none begins there."""
        holding = self.holding(offset, None)
        return parts.stub_of(holding[0], offset)[0].chain_start if holding else None


def part_of(rolled: Segment, first_offset: int) -> Part | None:
    """The part of a roll-up that begins at an offset."""
    return next((part for part in rolled.parts if part.first_offset == first_offset), None)


def _look(log: Log, name: str, rollups: _Rollups) -> _Place | None:
    """Read a file of the chain wholly, and all that it vouches for; None where it was set aside just now."""
    number = name.rpartition("/")[2].removesuffix(segments.SUFFIX)
    if not (number.isdecimal() and len(number) == 20):
        return _Place(name, 0, None, stub=False, problem=f"{name} is no segment", stray=True)
    found: Segment | None = None
    stub = False
    problem = ""
    try:
        data = log.store.read(name)
    except FileNotFoundError:
        return None
    try:
        found = segments.read_whole(name, data)
        segments.check_digest(found, data)
        if found.rolled_into or found.removed:
            stub = True
            problem = rollups.problem(found) if found.rolled_into else ""
        elif chain.extend(found.chain_start, segments.entries(found, data)) != found.records_end:
            problem = f"{name}: the chain of its records is broken"
    except NotVerified as error:
        problem = str(error)
    return _Place(name, int(number), found, stub, problem, sha256=sha256(data).hexdigest())


def _blame_strays(places: list[_Place]) -> None:
    """Names within the range of a sound segment: only a person can tell where they came from."""
    beginnings = {place.first_offset for place in places}
    end = 0
    for place in places:
        if place.first_offset < end and not place.stray:
            place.stray = True
            place.problem = f"{place.name}: the segment before it holds its offsets, up to {end - 1}"
        elif place.sound and (place.sound.next_offset in beginnings or place is places[-1]):
            end = place.sound.next_offset
        elif place.sound and any(place.first_offset < n < place.sound.next_offset for n in beginnings):
            place.problem = f"{place.name} ends at {place.sound.next_offset}, where no segment begins"


def _blame_links(partition: LogPartition, places: list[_Place]) -> None:
    """Of two sound neighbours that contradict each other one was exchanged.

    It is the later one if that does not fit what follows it either, else the earlier one.
    """
    first = places[0].sound if places else None
    if first and first.first_offset == 0 and first.chain_start != chain.genesis(partition):
        places[0].problem = f"{first.name} does not begin this chain"
    for index, place in enumerate(places):
        before = places[index - 1] if index else None
        following = places[index + 1] if index + 1 < len(places) else None
        if before and not _fit(before, place):
            wrong = place if following and not _fit(place, following) else before
            wrong.problem = f"{wrong.name} does not fit its neighbours: its records were exchanged"


def _fit(before: _Place, after: _Place) -> bool:
    one, two = before.sound, after.sound
    if one is None or two is None or one.next_offset != two.first_offset:
        return True
    return one.chain_end == two.chain_start


def _damages(partition: LogPartition, places: list[_Place], rollups: _Rollups) -> Iterator[Damage]:
    link: str | None = chain.genesis(partition)
    offset: int | None = 0
    chained = [place for place in places if not place.stray]
    for place, following in zip(chained, [*chained[1:], None], strict=True):
        while offset is not None and place.first_offset > offset:
            damage = _missing(partition, offset, link, place, rollups)
            yield damage
            offset, link = damage.next_offset, damage.chain_end
        if place.sound:
            offset, link = place.sound.next_offset, place.sound.chain_end
            continue
        damage = _damage(partition, place, link, following, rollups)
        yield damage
        offset, link = damage.next_offset, damage.chain_end
    for place in places:
        if place.stray:
            end = place.found.next_offset if place.found else None
            yield Damage(
                *(partition, place.name, place.first_offset, end, None, None, place.problem), stray=True
            )


def _missing(
    partition: LogPartition, offset: int, link: str | None, following: _Place, rollups: _Rollups
) -> Damage:
    damage = Damage(
        *(partition, segments.name_of(partition, offset), offset, following.first_offset, link),
        chain_end=_start(following, rollups),
        problem="their segment is missing",
        missing=True,
    )
    return _in_rollup(damage, rollups)


def _start(place: _Place, rollups: _Rollups) -> str | None:
    """The link that a place goes on from: as it says, or as the roll-up does that has its records."""
    return place.links.chain_start if place.links else rollups.link_at(place.first_offset)


def _in_rollup(damage: Damage, rollups: _Rollups) -> Damage:
    """Where a roll-up has the records, the range is one part of it, and its links are known."""
    holding = rollups.holding(damage.first_offset, damage.next_offset)
    if holding is None:
        return damage
    rolled, part = holding
    return msgspec.structs.replace(
        damage, rolled=rolled, next_offset=part.next_offset, chain_end=part.chain_end
    )


def _damage(
    partition: LogPartition, place: _Place, link: str | None, following: _Place | None, rollups: _Rollups
) -> Damage:
    """A bad file, between what is known of its neighbours; of a sound stub all is known."""
    found = place.found
    start, end, chain_end = link, following.first_offset if following else None, None
    claimed = found.next_offset if found and found.next_offset > found.first_offset else None
    if place.stub and found:
        start, end, chain_end = found.chain_start, found.next_offset, found.chain_end
    elif following and claimed and claimed < following.first_offset:
        end, chain_end = claimed, rollups.link_at(claimed)  # what lies behind it is missing too
    elif following:
        chain_end = _start(following, rollups)
    elif found and claimed:
        end, chain_end = claimed, found.chain_end if _LINK.fullmatch(found.chain_end) else None
    damage = Damage(
        *(partition, place.name, place.first_offset, end, start, chain_end, place.problem),
        found=found,
        sha256=place.sha256,
    )
    return damage if place.stub else _in_rollup(damage, rollups)
