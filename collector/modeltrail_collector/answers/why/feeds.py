"""Candidates among the data: where a change came in, what shows it, and what does not."""

from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple

from modeltrail_collector.answers.places import LED_TO
from modeltrail_collector.answers.why import data, drift
from modeltrail_collector.answers.why.cause import (
    MUCH,
    POSSIBLE,
    STRONG,
    UNLIKELY,
    Cause,
    Found,
    both,
    named,
)
from modeltrail_collector.answers.why.data import Pair
from modeltrail_collector.answers.why.drift import Drift
from modeltrail_collector.answers.why.facts import Place
from modeltrail_collector.answers.why.origins import Origins
from modeltrail_collector.tables import pairing
from modeltrail_collector.tables.pairing import IN_MEMORY

_MORE_ROWS: Final = 0.1
"""So large a share of its rows makes a change of data a possible cause."""


def candidates(found: Found, origins: Origins, *, explained: bool) -> list[Cause]:
    """One for each dataset in which a change came in.

    What changed inside of the making run is one only where nothing there explains it (`explained`).
    """
    symptoms = _symptoms(found)
    prepared = {row["job"] for row in found.upstream}

    def able(pair: Pair, column: str) -> bool:
        """Whether the run in which a column came to be was made differently."""
        if origins.came_in(pair, column):
            return bool(prepared)
        return bool(_written_by(pair) & prepared) if pair.either.writers else explained

    causes = []
    for pair in found.data:
        inside = data.inside(pair, found.data)
        if not pair.differs or pair.causes or (inside and explained):
            continue
        if pair.either.use == "test":  # it acts on the figures alone, and is a candidate of its own
            continue
        if _written_by(pair) & prepared:
            continue  # the run that wrote it was made differently: that is the candidate
        shown = [_symptom(pair, one, origins, able) for one in symptoms[id(pair)]]
        causes.append(_feed(pair, shown, origins))
        _doubt(found, pair, causes[-1])
        if inside:
            _tell_inside(found, pair, causes[-1])
    return causes


def _symptoms(found: Found) -> dict[int, list[Pair]]:
    """What was made of each pair in which a change came in, by its `id`."""
    symptoms: dict[int, list[Pair]] = defaultdict(list)
    for pair in found.data:
        if pair.causes:
            for root in data.roots(pair):
                symptoms[id(root)].append(pair)
    return symptoms


def _written_by(pair: Pair) -> set[str]:
    return {f"{run['job_namespace']}/{run['job_name']}" for run in pair.either.writers.values()}


def _tell_inside(found: Found, pair: Pair, cause: Cause) -> None:
    near = data.made_from(pair, found.data)
    unknown = [short(one) for one in near if one.change != "same"]
    doubt = f", as far as is known (not of {named(unknown)})" if unknown else ""
    cause.for_(
        f"the files that it is known to be made from are the same{doubt}, and nothing recorded explains it"
    )
    cause.for_("a file that the code opens by a name that it puts together would not have been recorded")
    if found.code["entry_only"]:
        cause.but("the modules that its script imports are not recorded: it may be these")


def _doubt(found: Found, pair: Pair, cause: Cause) -> None:
    """What came or went is doubtful where the other version's run told of no reading at all.

    Where it did read this, for nothing that it made the model of, that is what is said.
    """
    other = {"removed": found.made.new, "added": found.made.old}.get(pair.change, {}).get("dataInputs", {})
    if pair.either.depth == 1 and pair.either.name in {path.rpartition("#")[0] for path in other}:
        was = "is read for another use" if pair.change == "removed" else "was read for another use before"
        cause.what = f"{was}, of which the model did not come"
    for side, story, change in (("after", found.after, "removed"), ("before", found.before, "added")):
        read = (getattr(one, side) for one in found.data)
        if pair.change == change and not any(one and one.namespace != IN_MEMORY for one in read):
            cause.strength, cause.doubtful = POSSIBLE, True
            cause.but(f"nothing is recorded of what {story.label} read: it may have read it too")


class _Symptom(NamedTuple):
    """What was made of a feed: the columns that this moved, and those that something else did.

    `unknown` are those of the former that nothing moved which they are known to be made of.
    """

    pair: Pair
    moved: list[Drift]
    foreign: frozenset[str]
    unknown: list[str]


def _symptom(root: Pair, pair: Pair, origins: Origins, able: Callable[[Pair, str], bool]) -> _Symptom:
    """Columns that a feed can have moved, and others; those of no origin too, where no run was `able` to."""
    drifts = [one for one in pair.drifts if one.told]
    moved = {one.column: origins.of(pair, one) for one in drifts}
    gone = {name: origins.of(pair, name) for name in (*pair.columns_removed, *pair.columns_added)}
    of = moved | gone
    mine = {name for name, found in of.items() if root in found or not (found or able(pair, name))}
    unknown = [name for name in moved if name in mine and not moved[name]]
    return _Symptom(pair, [one for one in drifts if one.column in mine], frozenset(of.keys() - mine), unknown)


def _feed(pair: Pair, symptoms: list[_Symptom], origins: Origins) -> Cause:
    last = [one for one in symptoms if one.pair.either.depth == 1 and one.pair.profiled]
    unused = _unused(pair, last, origins)
    cause = Cause("data", pair.either.name, changed(pair, unused), UNLIKELY)
    cause.paths = frozenset(
        ("dataInputs", f"{side.name}#{field}")
        for side in (pair.before, pair.after)
        if side
        for field in ("fingerprint", "version", "rows", "columns", "name")
    )
    own = _severity(pair, unused)
    shown = [_severity(one.pair, one.foreign) for one in symptoms if one.pair.profiled]
    cause.strength = own if pair.profiled or own == STRONG else min([own, POSSIBLE, *shown])
    _tell_pair(cause, pair, unused)
    for one in sorted(symptoms, key=lambda one: -one.pair.either.depth):
        moved = [drift for drift in one.moved if drift.level in {"large", "moderate"}]
        if not pair.profiled and moved and not cause.columns:
            cause.columns = [drift.column for drift in moved[:MUCH]]
        if moved:
            cause.for_(f"shows in {short(one.pair)}: {columns(moved)}", *places_of(one.pair))
    _tell_unknown(cause, [one for one in symptoms if one.unknown])
    if last and all(_severity(one.pair, one.foreign) == UNLIKELY for one in last):
        cause.strength = min(UNLIKELY, cause.strength + 1)
        what = "that moved" if last[0].foreign else "moved by PSI 0.1"
        whose = " is known to come of it" if last[0].foreign else ""
        cause.but(f"no column of {short(last[0].pair)} {what}{whose}", *places_of(last[0].pair))
    drifts = [one for one in pair.drifts if one.column not in unused]
    drifts += [drift for one in symptoms for drift in one.moved]
    near = [one.pair for one in symptoms if one.pair.either.depth == 1]
    _tell_foreign(cause, pair, near, origins)
    if pair.possible:
        cause.what += ", read by the run, use not seen"
        cause.strength = max(POSSIBLE, cause.strength)
    cause.weight = max((one.psi or 0.0 for one in drifts), default=0.0)
    return cause


def _tell_unknown(cause: Cause, symptoms: list[_Symptom]) -> None:
    """The columns that nothing recorded moved; one that several data have in a row, once."""
    names = dict.fromkeys(name for one in symptoms for name in one.unknown)
    if names:
        places = [place for one in symptoms for place in places_of(one.pair)]
        cause.but(f"what moved {named([*names])} is not recorded", *places)


def _unused(pair: Pair, last: list[_Symptom], origins: Origins) -> frozenset[str]:
    """The columns that the model did not learn from, nor from what is made of them, as far as is recorded."""
    several = (pair, *(each.pair for each in last))
    sides = [side for one in several for side in (one.before, one.after) if side]
    learned = {name for one in several for name in origins.leading(pair, one, _features(one))}
    known = {one.column for one in pair.drifts}.union(*(side.schema for side in sides))
    behind = {
        name
        for each in last
        if each.unknown or any(origins.is_derived(each.pair, one.column) for one in each.moved)
        for name in origins.hidden(pair, each.pair)
    }
    return frozenset(known - learned - behind) if any(map(_features, several)) else frozenset()


def _features(pair: Pair) -> set[str]:
    """The columns that the model itself learned from."""
    sides = [side for side in (pair.before, pair.after) if side and side.depth == 1]
    return {name for side in sides for name in side.features}


def _tell_foreign(cause: Cause, pair: Pair, last: list[Pair], origins: Origins) -> None:
    """Of a feed of which no column leads to any of what was fitted on, nor decided about its rows."""
    told = [one for one in last if one is not pair]
    columns = {id(one): _features(one) or one.either.names for one in told}
    if not told or any(
        not columns[id(one)] or _rows_moved(one) or origins.leading(pair, one, columns[id(one)])
        for one in told
    ):
        return
    cause.strength, cause.doubtful = UNLIKELY, True
    cause.but(f"no column of it went into {short(told[0])}, as its column lineage says", *places_of(told[0]))


def changed(pair: Pair, unused: frozenset[str] = frozenset()) -> str:
    """What changed in data, in a few words; of columns that are not `unused`."""
    moved = [one.column for one in pair.drifts if one.told and one.column not in unused]
    if pair.change in {"added", "removed"}:
        return "is new" if pair.change == "added" else "no reading of it is recorded any more"
    if moved:
        return f"column{'s' if len(moved) > 1 else ''} {named(moved)}"
    gone = [name for name in (*pair.columns_removed, *pair.columns_added) if name not in unused]
    if gone:
        return f"other columns: {named(gone)}"
    if pair.before and pair.after and _rows_moved(pair) >= _MORE_ROWS:
        return f"rows {pair.before.rows:,} → {pair.after.rows:,}"
    return "other content" + ("" if pair.profiled else ", which is all that is recorded")


def _severity(pair: Pair, unused: frozenset[str] = frozenset()) -> int:
    """How strong a candidate it is by what changed, columns that the model did not learn from left out."""
    if pair.change in {"added", "removed"}:
        return STRONG if pair.either.use in {None, "train"} or pair.either.depth > 1 else POSSIBLE
    drifts = [one for one in pair.drifts if one.column not in unused]
    missing = max((abs(one.missing_moved) for one in drifts), default=0.0)
    rows = _rows_moved(pair)
    others = {*pair.columns_removed, *(kind["column"] for kind in pair.types)} - unused
    broken = others or any(one.types for one in drifts)
    if broken or missing >= 0.1 or rows >= 0.5 or any(one.level == "large" for one in drifts):
        return STRONG
    softly = missing >= drift.MISSING_MOVED or rows >= _MORE_ROWS or set(pair.columns_added) - unused
    if softly or any(one.told for one in drifts) or not pair.profiled:
        return POSSIBLE
    return UNLIKELY


def _rows_moved(pair: Pair) -> float:
    rows = [side.rows if side else None for side in (pair.before, pair.after)]
    if rows[0] is None or rows[1] is None or rows[0] == rows[1]:
        return 0.0
    return abs(rows[1] - rows[0]) / max(1, rows[0])


def _tell_pair(cause: Cause, pair: Pair, unused: frozenset[str]) -> None:
    places = places_of(pair)
    moved = [one for one in pair.drifts if one.told and one.column not in unused]
    cause.columns = [one.column for one in moved[:MUCH]]
    for one in moved[:MUCH]:
        cause.for_(f"{one.column}: {describe(one)}", *places)
    if len(moved) > MUCH:
        cause.for_(f"{len(moved) - MUCH} more columns moved", *places)
    for kind in pair.types:
        cause.for_(f"{kind['column']}: type {kind['before']} → {kind['after']}", *places)
    for word, names in (("new", pair.columns_added), ("missing", pair.columns_removed)):
        if names:
            cause.for_(f"{word} columns: {named(names)}", *places)
    for gone, new in renamed(pair):
        cause.for_(f"{new} has the profile that {gone} had, as after a renaming", *places)
    _tell_content(cause, pair, places)
    for one in [one for one in pair.drifts if one.told and one.column in unused][:MUCH]:
        cause.but(
            f"{one.column} moved, and is none of the features that are recorded: {describe(one)}", *places
        )


def renamed(pair: Pair) -> list[tuple[str, str]]:
    """Columns that are gone and have one and the same profile as a column that is new."""
    old, new = (side.columns if side else {} for side in (pair.before, pair.after))
    pairs = [
        (was, now)
        for was in pair.columns_removed
        for now in pair.columns_added
        if was in old and old[was] == new.get(now)
    ]
    alone = len({was for was, _ in pairs}) == len(pairs) == len({now for _, now in pairs})
    return pairs if alone else []


def _tell_content(cause: Cause, pair: Pair, places: list[Place | None]) -> None:
    was, now = pair.before, pair.after
    if was and now:
        if pair.change == "replaced":
            cause.for_(f"{was.name} was read before", *places)
        if was.links and now.links and was.links != now.links:
            cause.for_(f"{LED_TO} {', '.join(was.links)}, and leads to {', '.join(now.links)}", *places)
        if was.rows is not None and now.rows is not None:
            if was.rows == now.rows:
                cause.but(f"as many rows as before ({now.rows:,})", *places)
            else:
                cause.for_(f"rows {was.rows:,} → {now.rows:,}", *places)
        if pairing.same_content(was.content, now.content) is False:
            kind = "fingerprint" if was.fingerprint else "version"
            cause.for_(f"{kind} {both(getattr(was, kind), getattr(now, kind))}", *places)
        if not pair.profiled:
            cause.but("no profile of its columns was recorded: how it differs is not known", *places)
        elif not any(one.told for one in pair.drifts):
            known = sum(one.level != "unknown" for one in pair.drifts)
            cause.but(f"none of {known} compared columns moved by PSI 0.1", *places)


def describe(one: Drift) -> str:
    """A column's drift in one line."""
    parts = []
    if one.types:
        parts.append(f"type {one.types[0]} → {one.types[1]}")
    if one.factor is not None:
        times = f"{one.factor:g} times" if one.factor >= 1 else f"1/{1 / one.factor:g} of"
        parts.append(f"all values about {times} what they were, as after a change of unit")
    if one.mean_before is not None and one.mean_after is not None:
        parts.append(f"mean {one.mean_before:.4g} → {one.mean_after:.4g}")
    for word, values in (("new", one.new_values), ("gone", one.gone_values)):
        if values:
            parts.append(f"{word}: {named(values)}")
    if abs(one.missing_moved) >= drift.MISSING_MOVED:
        parts.append(f"missing {one.missing_before or 0:.1%} → {one.missing_after or 0:.1%}")
    if one.psi is not None:
        parts.append(f"PSI {one.psi:.2f} (chance < {one.psi_by_chance:.2f})")
    if one.ks is not None:
        parts.append(f"KS {one.ks:.2f}")
    return ", ".join(parts)


def columns(moved: list[Drift]) -> str:
    """Columns that moved, in half a line."""
    told = ", ".join(
        one.column + (f" PSI {one.psi:.2f}" if one.psi is not None else "") for one in moved[:MUCH]
    )
    return told + (f" and {len(moved) - MUCH} more" if len(moved) > MUCH else "")


def short(pair: Pair) -> str:
    """A dataset's name without its folder."""
    return pair.either.name.rpartition("/")[2] if pair.either.namespace == "file" else pair.either.name


def places_of(pair: Pair) -> list[Place | None]:
    """Where in the log both readings stand."""
    return [side.place for side in (pair.before, pair.after) if side]
