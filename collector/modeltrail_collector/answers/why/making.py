"""Candidates among how a version was made: upstream runs, transformations, parameters, code, environment."""

from collections.abc import Iterator
from typing import NamedTuple

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why import chosen, data, environment
from modeltrail_collector.answers.why import code as code_
from modeltrail_collector.answers.why.between import CODE
from modeltrail_collector.answers.why.cause import (
    MUCH,
    POSSIBLE,
    STRONG,
    UNLIKELY,
    Cause,
    Found,
    both,
    brief,
    named,
    said_by_both,
)
from modeltrail_collector.answers.why.data import Pair
from modeltrail_collector.answers.why.drift import Drift
from modeltrail_collector.answers.why.facts import Place
from modeltrail_collector.answers.why.feeds import columns, places_of, short
from modeltrail_collector.answers.why.origins import Origins
from modeltrail_collector.tables.differences import Change


def preparations(found: Found, origins: Origins) -> list[Cause]:
    """One for each upstream job whose run was made differently."""
    causes = []
    for row in found.upstream:
        sections = {change.section for change in row["differences"]}
        sure = sections & {"parameters", "transformations"}
        strength = STRONG if sure else POSSIBLE if sections & {"code", "arguments"} else UNLIKELY
        said = sure or sections & {"arguments"}
        shown = [change for change in row["differences"] if change.section in said] or row["differences"]
        job, place = row["job"].partition("/")[2], found.after.runs.get(row["run_after"])
        if not said and strength == POSSIBLE and row["code"]["change"] == "changed":
            files = _own_files(row["code"])
            told = [f"code: {_code_what(row['code'])}", *([f"files: {named(files)}"] if files else [])]
            what = named(files) if files else _code_what(row["code"])
        else:
            told, what = [_change(change) for change in shown[:MUCH]], _paths(shown)
        cause = Cause("preparation", job, f"was made differently: {what}", strength)
        for text in told:
            cause.for_(text, place[0].place if place else None)
        _tell_outputs(found, cause, job, origins)
        causes.append(cause)
    return causes


def _tell_outputs(found: Found, cause: Cause, job: str, origins: Origins) -> None:
    """What came of an upstream run decides: the same content, or another one of the same inputs."""
    wrote = [
        pair for pair in found.data if any(run["job_name"] == job for run in pair.either.writers.values())
    ]
    if wrote and all(pair.change == "same" for pair in wrote):
        cause.strength = UNLIKELY
        cause.but("what it wrote has the same content", *places_of(wrote[0]))
    own = [pair for pair in wrote if pair.differs and not pair.causes]
    if own:
        cause.strength = max(STRONG, cause.strength - 1)
        cause.for_(f"its inputs are the same, and {short(own[0])} is not", *places_of(own[0]))
    elif any(pair.differs for pair in wrote):
        cause.but("its inputs changed too, which is told above or below")
        added = [each for each in _inside(found, origins) if each.pair in wrote]
        cause.strength = max(STRONG, cause.strength - 1) if added else cause.strength
        for each in added:
            cause.for_(each.text, *places_of(each.pair))
    for pair in own:
        rows = [side.rows for side in (pair.before, pair.after) if side and side.rows is not None]
        if len(set(rows)) > 1:
            cause.for_(f"{short(pair)}: rows {rows[0]:,} → {rows[1]:,}", *places_of(pair))
        if moved := [one for one in pair.drifts if one.told]:
            cause.for_(f"{short(pair)}: {columns(moved)}", *places_of(pair))


class _Inside(NamedTuple):
    """What changed inside of the run that made data: columns that moved, and columns that came or went."""

    pair: Pair
    drifts: list[Drift]
    names: list[str]

    @property
    def text(self) -> str:
        how = [named(self.names)] if self.names else []
        how += [columns(self.drifts)] if self.drifts else []
        if not self.pair.causes:
            told = f" (columns {how[0]})" if self.names else f" ({how[0]})" if how else ""
            return f"{short(self.pair)} changed inside of the run{told}, its files did not"
        return f"{short(self.pair)}: {', '.join(how)}, which no change in what it was made from explains"


def explain(found: Found, causes: list[Cause], origins: Origins) -> bool:
    """Say of what runs in the making run that data changed inside of it; whether anything can."""
    able = _able(found, causes)
    likelier = set()
    for each in _inside(found, origins):
        if each.pair.either.writers:
            continue  # of an upstream run
        for cause in [one for one in able if not _can_hardly(one, each, able)] or able:
            cause.for_(each.text, *places_of(each.pair))
            cause.columns = [*each.names, *(one.column for one in each.drifts)][:MUCH]
            likelier.add(id(cause))
    for cause in able:
        if id(cause) in likelier:
            cause.strength = max(STRONG, cause.strength - 1)
    return bool(able)


def _able(found: Found, causes: list[Cause]) -> list[Cause]:
    """What can change data inside of a run; of the packages those that compute, where these differ."""
    libraries = [one for one in causes if one.kind == "environment"][:1]
    code = [] if code_.only_others(found.code) else [one for one in causes if one.kind == "code"]
    return [*(one for one in causes if one.subject in chosen.ABLE), *code, *libraries]


def _inside(found: Found, origins: Origins) -> Iterator[_Inside]:
    """What changed in data that a run made, and not in what it was made from."""
    for pair in found.data:
        if data.inside(pair, found.data):
            moved = [one for one in pair.drifts if one.told]
            yield _Inside(pair, moved, [*pair.columns_removed, *pair.columns_added])
        elif pair.causes and any(origins.inside(pair)):
            yield _Inside(pair, *origins.inside(pair))


def _can_hardly(cause: Cause, each: _Inside, able: list[Cause]) -> bool:
    """Columns come, go and move by code rather than by a library, and not by another seed."""
    if not each.names and not each.drifts:
        return False
    if cause.kind == "environment":
        return bool(each.names) or any(one.kind == "code" for one in able)
    return cause.kind == "training" and cause.strength == POSSIBLE


def _paths(changes: list[Change]) -> str:
    return named([change.path for change in changes])


def _change(change: Change) -> str:
    if change.before is None:
        return f"{change.path}: new, {brief(change.after)}"
    if change.after is None:
        return f"{change.path}: gone, before {brief(change.before)}"
    return f"{change.path}: {both(change.before, change.after)}"


def made(found: Found) -> list[Cause]:
    """The candidates of the making run itself."""
    return [
        *_transformations(found),
        *chosen.candidates(found),
        *of_code(found),
        *environment.candidates(found),
    ]


def _transformations(found: Found) -> list[Cause]:
    changes = found.made.section("transformations")
    if not changes:
        return []
    cause = Cause("transformations", _paths(changes), "other steps from raw columns to features", STRONG)
    cause.paths = frozenset(("transformations", change.path) for change in changes)
    for change in changes[:MUCH]:
        said = "sql" if change.path == "sql" else "modelTrail_featureTransformations"
        cause.for_(_change(change), *said_by_both(found, said))
    return [cause]


def of_code(found: Found) -> list[Cause]:
    """Code that differs, if the run that is told of had it."""
    change = found.code
    if change["change"] != "changed" or _is_told_upstream(found):
        return []
    files = _own_files(change) or _files(change)
    cause = Cause("code", named(files) if files else "", _code_what(change), POSSIBLE)
    cause.subject = cause.subject or cause.what
    cause.paths = frozenset() if change["untracked"] else frozenset({CODE})
    where = [change[side]["source"] for side in ("before", "after")]
    cause.for_(_code_what(change), *where)
    if files:
        cause.for_(f"files: {named(files)}", *where)
    for text in _elsewhere(change):
        cause.for_(text, *where)
    if change["data_files"]:
        cause.but(f"data, and no code: {named(change['data_files'])}", *where)
    if change["others"]:
        cause.but(f"the program did not import {named(change['others'])}", *where)
    if code_.only_others(change):
        cause.strength = UNLIKELY
    _doubt(cause, change, where)
    return [cause]


def _is_told_upstream(found: Found) -> bool:
    """Whether all that differs are files that the making run did without, and that prepared its data."""
    others = set(found.code["others"])
    told = {
        path
        for row in found.upstream
        if row["code"]["change"] == "changed" and not code_.only_others(row["code"])
        for path in (*(file["path"] for file in row["code"]["files"]), *row["code"]["untracked"])
        if path not in row["code"]["others"]
    }
    return code_.only_others(found.code) and others <= told


def _doubt(cause: Cause, change: Row, where: list[Place]) -> None:
    """What speaks against the code, and what of it is not known."""
    if code_.only_words(change):
        cause.strength = UNLIKELY
        cause.but("only documentation and tests differ", *where)
    if change["ask"]:
        cause.but(f"what the commits differ in is not recorded: {change['ask']}", *where)
    elif change["cut"]:
        known = all(change[side]["changes_known"] for side in ("before", "after"))
        lack = "the recorded diff is cut" if known else "not all uncommitted changes were recorded"
        cause.but(f"{lack}: what else differs is not known", *where)
    elif change["diff_from"] == "parts":
        cause.but("both uncommitted changes are known, the state that each gave is not", *where)


def _files(change: Row) -> list[str]:
    files = [_file(file) for file in change["files"]]
    files += [f"{path} (untracked)" for path in change["untracked"]]
    return [*files, *change["elsewhere"]]


def _elsewhere(change: Row) -> list[str]:
    """Which files from outside of the repository differ, and what became of the repositories they lie in."""
    old, new = (change[side]["elsewhere"] or {} for side in ("before", "after"))
    outside = ", from outside of the repository," if change["after"]["commit"] else ""
    told: list[str] = []
    for name in change["elsewhere"][:MUCH]:
        way = "differs" if name in old and name in new else "is new" if name in new else "is gone"
        place = (new.get(name) or old[name])["path"]
        told.append(f"{name}{outside} {way}: {place}")
    return told + [f"repository {moved}" for moved in change["repositories"]]


def _own_files(change: Row) -> list[str]:
    """Without those that are not of the program."""
    others = change["others"]
    files = [file for file in change["files"] if file["path"] not in others]
    untracked = [path for path in change["untracked"] if path not in others]
    return _files({**change, "files": files, "untracked": untracked})


def _file(file: Row) -> str:
    lines = "" if file["added"] is None else f" +{file['added']} −{file['removed']}"  # noqa: RUF001
    return f"{file['path']}{lines}"


def _code_what(change: Row) -> str:
    was, now = change["before"], change["after"]
    if was["entry_point"] != now["entry_point"]:
        return f"started as {was['entry_point']} → {now['entry_point']}"
    if was["commit"] != now["commit"]:
        return f"commit {_commit(was)} → {_commit(now)}"
    if "diff_sha256" in change["differs"]:
        sides = ["clean" if not side["diff_sha256"] else "with uncommitted changes" for side in (was, now)]
        if sides[0] == sides[1]:
            return f"commit {_commit(now)[:12]}, with other uncommitted changes"
        return f"commit {_commit(now)[:12]}, {sides[0]} → {sides[1]}"
    is_elsewhere = now["commit"] and change["elsewhere"] and not change["untracked"]
    return "other modules from outside of the repository" if is_elsewhere else "other source files"


def _commit(state: Row) -> str:
    return (state["commit"] or "none")[:12] + ("+" if state["diff_sha256"] else "")
