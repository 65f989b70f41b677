"""Candidates among how a version was made: upstream runs, transformations, parameters, code, environment."""

from typing import Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why import chosen
from modeltrail_collector.answers.why import code as code_
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
    shown,
)
from modeltrail_collector.answers.why.data import Pair
from modeltrail_collector.answers.why.facts import Place
from modeltrail_collector.answers.why.feeds import columns, places_of, short
from modeltrail_collector.tables.differences import Change

_COMPUTES: Final = frozenset({
    "numpy", "scipy", "pandas", "polars", "pyarrow", "scikit-learn", "torch", "tensorflow", "keras", "jax",
    "jaxlib", "xgboost", "lightgbm", "catboost", "transformers", "lightning", "pytorch-lightning",
    "statsmodels", "datasets", "tokenizers", "accelerate", "imbalanced-learn", "category-encoders", "optuna",
    "feature-engine", "prophet", "spacy", "gensim", "onnx", "pyspark", "h2o", "duckdb",
})  # fmt: skip


def preparations(found: Found) -> list[Cause]:
    """One for each upstream job whose run was made differently."""
    causes = []
    for row in found.upstream:
        sections = {change.section for change in row["differences"]}
        sure = sections & {"parameters", "transformations"}
        strength = STRONG if sure else POSSIBLE if "code" in sections else UNLIKELY
        shown = [change for change in row["differences"] if change.section in sure] or row["differences"]
        job, place = row["job"].partition("/")[2], found.after.runs.get(row["run_after"])
        if not sure and strength == POSSIBLE and row["code"]["change"] == "changed":
            files = _own_files(row["code"])
            told = [f"code: {_code_what(row['code'])}", *([f"files: {named(files)}"] if files else [])]
            what = named(files) if files else _code_what(row["code"])
        else:
            told, what = [_change(change) for change in shown[:MUCH]], _paths(shown)
        cause = Cause("preparation", job, f"was made differently: {what}", strength)
        for text in told:
            cause.for_(text, place[0].place if place else None)
        _tell_outputs(found, cause, job)
        causes.append(cause)
    return causes


def _tell_outputs(found: Found, cause: Cause, job: str) -> None:
    """What came of an upstream run decides: the same content, or another one of the same inputs."""
    wrote = [pair for pair in found.data if pair.either.writer and pair.either.writer["job_name"] == job]
    if wrote and all(pair.change == "same" for pair in wrote):
        cause.strength = UNLIKELY
        cause.but("what it wrote has the same content", *places_of(wrote[0]))
    own = [pair for pair in wrote if pair.differs and not pair.causes]
    if own:
        cause.strength = max(STRONG, cause.strength - 1)
        cause.for_(f"its inputs are the same, and {short(own[0])} is not", *places_of(own[0]))
    elif any(pair.differs for pair in wrote):
        cause.but("its inputs changed too, which is told above or below")
    for pair in own:
        rows = [side.rows for side in (pair.before, pair.after) if side and side.rows is not None]
        if len(set(rows)) > 1:
            cause.for_(f"{short(pair)}: rows {rows[0]:,} → {rows[1]:,}", *places_of(pair))
        if moved := [one for one in pair.drifts if one.told]:
            cause.for_(f"{short(pair)}: {columns(moved)}", *places_of(pair))


def explain(found: Found, causes: list[Cause], inside: list[Pair]) -> bool:
    """Say of what runs in the making run that data changed inside of it; whether anything can."""
    kinds = {"environment"} if code_.only_others(found.code) else {"code", "environment"}
    able = [one for one in causes if one.kind in kinds or one.subject in chosen.ABLE]
    for cause in able:
        for pair in inside:
            gone = [*pair.columns_removed, *pair.columns_added]
            moved = [one for one in pair.drifts if one.told]
            how = f" (columns {named(gone)})" if gone else f" ({columns(moved)})" if moved else ""
            cause.for_(f"{short(pair)} changed inside of the run{how}, its files did not", *places_of(pair))
        if inside:
            cause.strength = max(STRONG, cause.strength - 1)
    return bool(able)


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
        *_code(found),
        *_environment(found),
    ]


def _transformations(found: Found) -> list[Cause]:
    changes = found.made.section("transformations")
    if not changes:
        return []
    cause = Cause("transformations", _paths(changes), "other steps from raw columns to features", STRONG)
    for change in changes[:MUCH]:
        cause.for_(_change(change), *said_by_both(found, "modelTrail_featureTransformations"))
    return [cause]


def _code(found: Found) -> list[Cause]:
    change = found.code
    if change["change"] != "changed":
        return []
    files = _own_files(change) or _files(change)
    cause = Cause("code", named(files) if files else "", _code_what(change), POSSIBLE)
    cause.subject = cause.subject or cause.what
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


def _doubt(cause: Cause, change: Row, where: list[Place]) -> None:
    """What speaks against the code, and what of it is not known."""
    if code_.only_words(change):
        cause.strength = UNLIKELY
        cause.but("only documentation and tests differ", *where)
    if change["ask"]:
        cause.but(f"what the commits differ in is not recorded: {change['ask']}", *where)
    elif change["cut"]:
        cause.but("the recorded diff is cut: what else differs is not known", *where)
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
    if was["diff_sha256"] != now["diff_sha256"]:
        sides = ["clean" if not side["diff_sha256"] else "with uncommitted changes" for side in (was, now)]
        if sides[0] == sides[1]:
            return f"commit {_commit(now)[:12]}, with other uncommitted changes"
        return f"commit {_commit(now)[:12]}, {sides[0]} → {sides[1]}"
    is_elsewhere = now["commit"] and change["elsewhere"] and not change["untracked"]
    return "other modules from outside of the repository" if is_elsewhere else "other source files"


def _commit(state: Row) -> str:
    return (state["commit"] or "none")[:12] + ("+" if state["diff_sha256"] else "")


def _environment(found: Found) -> list[Cause]:
    rows = found.made.environment()
    framework = found.after.find("modelTrail_training")
    computes = _COMPUTES | {str(framework.value.get("framework"))} if framework else _COMPUTES
    near = [row for row in rows if _computes(row, computes)]
    where = said_by_both(found, "modelTrail_environment", "processing_engine")
    causes = []
    for some, strength in ((near, POSSIBLE), ([row for row in rows if row not in near], UNLIKELY)):
        if not some:
            continue
        told = [f"{row['name']} {shown(row['before'])} → {shown(row['after'])}" for row in some]
        what = "another version of what computes" if strength == POSSIBLE else "other packages or machine"
        cause = Cause("environment", named(told), what, strength)
        for text in told[:MUCH]:
            cause.for_(text, *where)
        if strength == UNLIKELY:
            cause.but("none of it is known to compute the model")
        causes.append(cause)
    return causes


def _computes(row: Row, known: frozenset[str]) -> bool:
    name = row["name"].lower().replace("_", "-")
    return (row["kind"] == "package" and name in known) or name in {"python.version", "os.arch", "engine"}
