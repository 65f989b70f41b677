"""What wrote a dataset, and what went into it: the two steps back, each for many datasets at once.

All of it joins by equality, so that a run that reads or writes ten thousand datasets costs as much as they
are many, not as their pairs are.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import Final

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.places import (
    Key,
    Name,
    by_key,
    key_of,
    leading,
    names_of,
    own_models,
    unused,
)
from modeltrail_collector.answers.statements import sql_of
from modeltrail_collector.tables.versions import claimed_by

RUN: Final = """run_id, job_namespace, job_name, state, started_at, ended_at,
    coalesce(ended_at, last_event_at) AS wrote_at"""

_HOW: Final = ("name", "identity", "folder")
_PARTS: Final = frozenset({"metadata", "data", "treesMetadata", "userFactors", "itemFactors"})
_TOLD: Final = ("version", "fingerprint", "use", "rows")
_Version = tuple[str, str, str | None]
"""Namespace, name and version of an input."""
_TRAINED_FIRST: Final = {"train": 1, "validation": 2, "test": 3}


def writers(db: Database, names: set[Name]) -> dict[Name, list[Row]]:
    """What wrote each of these, oldest first: run_id, when it started and wrote, and what it calls it.

    `how` says whether the run called it so too (`name`), by another name (`identity`: its symlinks), or wrote
    but something in it (`folder`), which counts where there is nothing else; `kind`, `version` and
    `fingerprint` are what it wrote. What Spark saved of a model, by jobs that read nothing, is that model.
    """
    columns = "run_id, started_at, wrote_at, kind, version, fingerprint"
    around = {name: places for name in names if (places := saved_in(name))}
    asked = names.union(*around.values())
    rows = db.read(
        "mentions",
        f"key_namespace, key, how, {columns}",
        keys={name for _, name in asked},
        where=f"role = 'output' AND how IN {_HOW} AND use IS DISTINCT FROM 'drop'",
    )
    by_name: dict[Name, dict[str, list[Row]]] = {}
    for row in {tuple(row.values()): row for row in rows}.values():
        known = by_name.setdefault((row.pop("key_namespace"), row.pop("key")), {})
        known.setdefault(row["how"], []).append(row)
    found = {name: _nearest(known) for name, known in by_name.items()}
    if around:
        found |= _of_spark(db, around, by_name, found)
    _leave_out_acts(db, found)
    return {name: sorted(rows, key=age) for name, rows in found.items() if name in names and rows}


def _nearest(known: dict[str, list[Row]]) -> list[Row]:
    """What wrote a thing, of all that is called so: data under any of its names.

    A model has the name of its file and one for each registry: who wrote it under its own name made it.
    """
    named, others = known.get("name", []), known.get("identity", [])
    if not named or any(row["kind"] == "model" for row in named):
        return named or others or known["folder"]
    return [*named, *unlike_models(others, named)]


def unlike_models(rows: list[Row], known: list[Row]) -> list[Row]:
    """Those of other runs than these, but for models."""
    runs = {row["run_id"] for row in known}
    return [row for row in rows if row["kind"] != "model" and row["run_id"] not in runs]


def _leave_out_acts(db: Database, found: dict[Name, list[Row]]) -> None:
    """Leave out of what put out a model version the runs that only did something to it in its registry.

    An alias or a stage is given to what others made; where nobody else is known to have, they stay.
    """
    versions: dict[tuple[Name, str | None], list[Row]] = {}
    for name, rows in found.items():
        for row in (row for row in rows if row["kind"] == "model"):
            versions.setdefault((name, row["version"]), []).append(row)
    several = {version: rows for version, rows in versions.items() if rows[1:]}
    said = db.read(
        "facets",
        "DISTINCT run_id, namespace, name, key",
        runs={row["run_id"] for rows in several.values() for row in rows},
        where="""key = 'modelTrail_training'
            OR (key = 'modelTrail_registration' AND value ->> '$.action' <> 'register')""",
    )
    trained = {row["run_id"] for row in said if row["key"] == "modelTrail_training"}
    acts = {(row["namespace"], row["name"], row["run_id"]) for row in said if row["run_id"] not in trained}
    for (name, _), rows in several.items():
        acting = [row for row in rows if (*name, row["run_id"]) in acts]
        if len(acting) < len(rows):
            found[name] = [row for row in found[name] if row not in acting]


def _of_spark(
    db: Database,
    around: dict[Name, list[Name]],
    by_name: dict[Name, dict[str, list[Row]]],
    found: dict[Name, list[Row]],
) -> dict[Name, list[Row]]:
    """What wrote the models that these are parts of, where Spark's ML saved them and no job that read did."""
    models: dict[Name, list[Row]] = {}
    for name, places in around.items():
        rows = [row for place in places for several in by_name.get(place, {}).values() for row in several]
        models[name] = [row | {"how": "identity"} for row in rows if row["kind"] == "model"]
    saved = db.read(
        "facets",
        "DISTINCT run_id",
        runs={row["run_id"] for rows in models.values() for row in rows},
        where="""key = 'modelTrail_model'
            AND (value ->> '$.format' = 'spark-ml' OR value ->> '$.framework' = 'pyspark')""",
    )
    jobs = {row["run_id"] for name, rows in models.items() if rows for row in found.get(name, ())}
    reading = db.read("run_datasets", "DISTINCT run_id", runs=jobs, where="role = 'input'")
    by_spark, read = {row["run_id"] for row in saved}, {row["run_id"] for row in reading}
    chosen = {name: [row for row in rows if row["run_id"] in by_spark] for name, rows in models.items()}
    return {
        name: rows
        for name, rows in chosen.items()
        if rows and not any(row["run_id"] in read for row in found.get(name, ()))
    }


def saved_in(name: Name) -> list[Name]:
    """The folders of which this may be a part, if it is called as the parts are that Spark saves a model in.

    Source: the writers of Spark's ML: `metadata` and `data` of a model, and of each stage of a pipeline.
    """
    namespace, path = name
    if path.rpartition("/")[2] not in _PARTS:
        return []
    return [(namespace, str(place)) for place in PurePosixPath(path).parents if place.name]


def age(row: Row) -> tuple[bool, str, str]:
    """The order in which runs wrote."""
    return row["wrote_at"] is None, row["wrote_at"] or "", row["run_id"]


def runs_of(db: Database, ids: Collection[str]) -> dict[str, Row]:
    """The columns `RUN` of these runs, by id."""
    return {row["run_id"]: row for row in db.read("runs", RUN, runs=ids)}


def inputs(
    db: Database, rows: list[Row], exact: set[Key], other: set[Key], *, most: int, possible: bool = False
) -> list[Row]:
    """What went into each of these outputs, at most so many; `total` is how many went into that one.

    `rows` are what their runs read and put out. `exact` are those that the run itself calls so. `kind` is
    what its reader takes it for. What is `possible` is as of `unused`, where that is asked for.

    What a run itself put out as a model (an evaluation inside the training run reads it) is a source of its
    other models alone, and only where it says so. The model that a run deployed is one, listed among its
    inputs or not.
    """
    made = _made(rows, exact, other)
    read = by_key(row for row in rows if row["role"] == "input")
    own = own_models(rows)
    models = by_key(row for row in rows if row["role"] == "output" and row["kind"] == "model")
    found: dict[Key, dict[_Version, Row]] = {}
    for source, output in leading(rows):
        versions: Sequence[Row | None] = read.get(source, [None])
        if source == output:  # a model that was written over; what it is now may be judged here too
            now = {row["fingerprint"] for row in models.get(output, ())}
            versions = [row for row in versions if row is None or row["fingerprint"] not in now]
        # Of a name that may mean each of two models of a run neither is the source.
        known = made.get(source, ()) if source in own else ()
        for one in made.get(output, ()):
            if one not in known or (one == output and one != source):
                for row in versions:
                    found.setdefault(one, {})[*source[1:], row["version"] if row else None] = _input(row)
    if possible:
        _add_unused(rows, made, found)
    _add_deployed(db, {run_id for run_id, *_ in exact | other}, made, read, found)
    return _ordered(found, most)


def _add_unused(rows: list[Row], made: dict[Key, set[Key]], found: dict[Key, dict[_Version, Row]]) -> None:
    """Among what went into outputs what may have."""
    for output, unsure in unused(rows).items():
        for one in made.get(output, ()):
            for row in unsure:
                possible = _input(row) | {"possible": True}
                version = (row["namespace"], row["name"], row["version"])
                found.setdefault(one, {}).setdefault(version, possible)


def _add_deployed(
    db: Database,
    runs: set[str],
    made: dict[Key, set[Key]],
    read: Collection[Key],
    found: dict[Key, dict[_Version, Row]],
) -> None:
    """Among what went into endpoints the models that were deployed, and are no inputs."""
    by_run: dict[str, list[Key]] = {}
    for several in made.values():
        for one in several:
            by_run.setdefault(one[0], []).append(one)
    for row in _deployed(db, runs):
        name = (row["model_namespace"], row["model_name"])
        if (row["run_id"], *name) not in read:
            model = {"kind": "model", "version": row["model_version"], "fingerprint": row["model_digest"]}
            for one in by_run.get(row["run_id"], ()):
                found.setdefault(one, {})[*name, row["model_version"]] = dict.fromkeys(_TOLD) | model


def _made(rows: list[Row], exact: set[Key], other: set[Key]) -> dict[Key, set[Key]]:
    """What a run calls its output -> what its readers know it by.

    A model asked for by its registered name was put out as a file: all models of the run, but for those that
    are known to be other bytes.
    """
    made = {one: {one} for one in exact}
    by_run: dict[str, set[Key]] = {}
    for one in other:
        by_run.setdefault(one[0], set()).add(one)
    outputs = [row for row in rows if row["role"] == "output" and row["run_id"] in by_run]
    contents: dict[Key, set[str | None]] = {}
    for row in outputs:
        contents.setdefault(key_of(row), set()).add(row["fingerprint"])
    for row in outputs:
        wanted = by_run[row["run_id"]]
        if row["kind"] == "model":
            known = {one for one in wanted if _may_be_same(row["fingerprint"], contents.get(one))}
        else:
            run_id, namespace, name = key_of(row)
            parts = name.split("/")
            folders = ((namespace, "/".join(parts[:number])) for number in range(1, len(parts)))
            called = ((namespace, name), *names_of(row["identities"]), *folders)
            known = wanted & {(run_id, *one) for one in called}
        if known:
            made.setdefault(key_of(row), set()).update(known)
    return made


def _may_be_same(fingerprint: str | None, contents: set[str | None] | None) -> bool:
    return not contents or fingerprint is None or not contents.isdisjoint({fingerprint, None})


def _deployed(db: Database, runs: set[str]) -> list[Row]:
    return db.read(
        "deployments",
        "run_id, model_namespace, model_name, model_version, model_digest",
        runs=runs,
        where="model_namespace IS NOT NULL AND model_name IS NOT NULL",
    )


def _input(row: Row | None) -> Row:
    if row is None:
        return {"kind": "dataset", **dict.fromkeys(_TOLD)}
    return {name: row[name] for name in ("kind", *_TOLD)} | {"symlinks": names_of(row["identities"])}


def _ordered(found: dict[Key, dict[_Version, Row]], most: int) -> list[Row]:
    """The inputs as rows: by output, what was trained on first, what is possible last."""

    def order(one: tuple[_Version, Row]) -> tuple[int, bool, bool, str, bool, str, str]:
        (namespace, name, version), row = one
        first = _TRAINED_FIRST.get(row["use"], 9)
        where = (namespace is None, namespace or "", version or "")
        return first, "possible" in row, row["use"] is None, name, *where

    rows: list[Row] = []
    for (run_id, to_namespace, to_name), sources in sorted(found.items()):
        output = {"run_id": run_id, "to_namespace": to_namespace, "to_name": to_name}
        for (namespace, name, _), row in sorted(sources.items(), key=order)[: most - len(rows)]:
            rows.append(output | {"namespace": namespace, "name": name} | row | {"total": len(sources)})
        if len(rows) >= most:
            break
    return rows


def columns(
    db: Database,
    rows: list[Row],
    exact: set[Key],
    other: set[Key],
    wanted: set[tuple[str, str, str, str]],
    *,
    most: int,
) -> list[Row]:
    """From which columns each column of these outputs (run id, namespace, name, column) was made.

    As `inputs`.
    """
    runs = {run_id for run_id, *_ in exact | other}
    made = _made(rows, exact, other)
    db.attach("run_datasets", "facets", runs=runs)
    names = ("run_id", "to_namespace", "to_name", "namespace", "name")
    db.fill("made", names, sorted((*known, *one[1:]) for one, several in made.items() for known in several))
    db.fill("wanted_column", ("run_id", "to_namespace", "to_name", "to_column"), sorted(wanted))
    found = db.rows(sql_of("columns"), most=most)
    return [row | {"symlinks": names_of(row.pop("identities"))} for row in found]


def steps(db: Database, runs: set[str]) -> dict[str, list[tuple[str, str | None]]]:
    """The names of each run's transformations, in order, with the `modelId` of what they belong to."""
    rows = db.read(
        "facets",
        "run_id, value -> '$.steps' AS steps",
        runs=runs,
        where="scope = 'run' AND key = 'modelTrail_featureTransformations' AND value IS NOT NULL",
    )
    found: dict[str, list[tuple[str, str | None]]] = {}
    for row in rows:
        told = json.loads(row["steps"] or "[]")
        several = [step for step in told if isinstance(step, dict)] if isinstance(told, list) else []
        found[row["run_id"]] = [(str(step["id"]), step.get("modelId")) for step in several if step.get("id")]
    return found


def judging(db: Database, models: list[Row]) -> list[list[str]]:
    """Of each version (row of `models`) the runs that judged it, and perhaps others that judged another one.

    Where several versions of one name are the same bytes, `claimed_by` says which of them it judged.
    """
    digests = {model["digest"] for model in models} - {None}
    rows = db.read(
        "mentions",
        "DISTINCT key, key_namespace, run_id, namespace, name, version",
        keys=digests | {model["name"] for model in models},
        where="how = 'evaluated' AND (list_contains($digests, key) OR list_contains($versions, version))",
        digests=sorted(digests),
        versions=[model["version"] for model in models],
    )
    alike = _alike(db, models)
    return [
        _judging(db, model, [row for row in rows if _is_of(row, model)], same)
        for model, same in zip(models, alike, strict=True)
    ]


def _is_of(row: Row, model: Row) -> bool:
    """Whether a run says of this version, by its bytes or its name, that it judged it."""
    if row["key"] == model["digest"]:
        return True
    named = row["key_namespace"], row["key"], row["version"]
    return named == (model["namespace"], model["name"], model["version"])


def _judging(db: Database, model: Row, rows: list[Row], alike: dict[str, set[str]]) -> list[str]:
    if len(alike) < 2:
        return list({row["run_id"]: None for row in rows})
    runs = {row["run_id"] for row in rows}
    above = {
        row["run_id"]: {row["run_id"], row["parent_run_id"], row["root_run_id"]}
        for row in db.read("runs", "run_id, parent_run_id, root_run_id", runs=runs)
    }
    found = []
    for row in rows:
        named = (row["namespace"], row["name"]) == (model["namespace"], model["name"])
        version, runs = row["version"] if named else None, above.get(row["run_id"], set())
        claimed = claimed_by(version, runs, alike, model["digest"])
        if not claimed or model["version"] in claimed:
            found.append(row["run_id"])
    return list(dict.fromkeys(found))


def _alike(db: Database, models: list[Row]) -> list[dict[str, set[str]]]:
    """The versions of each one's name that are the same bytes, with the runs that made and registered."""
    digests = {model["digest"] for model in models} - {None}
    rows = db.read(
        "models",
        "namespace, name, version, digest, run_id, registered_run_id",
        models={(model["namespace"], model["name"]) for model in models if model["digest"] is not None},
        where="list_contains($digests, digest)",
        digests=sorted(digests),
    )
    same = ("namespace", "name", "digest")
    return [
        {
            row["version"]: {row["run_id"], row["registered_run_id"]} - {None}
            for row in rows
            if all(row[column] == model[column] for column in same)
        }
        for model in models
    ]
