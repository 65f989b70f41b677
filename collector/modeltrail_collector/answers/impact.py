"""What learned from a dataset: run by run forwards, to datasets, model versions and endpoints."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from modeltrail_collector.answers import carried, names, subjects
from modeltrail_collector.answers.database import Database, Row, opened
from modeltrail_collector.answers.endpoints import with_endpoints
from modeltrail_collector.answers.places import (
    Key,
    Places,
    apart,
    by_key,
    key_of,
    leading,
    models_of,
    names_of,
    unused,
)
from modeltrail_collector.answers.readers import DIGEST, Thing, by_time, readers, written_as
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Log
from modeltrail_collector.tables.differences import JOB
from modeltrail_collector.tables.pairing import IN_MEMORY

_DIGITS: Final = 4
_VERSIONS: Final = 8
_SHORT: Final = 12
_OF_RUN: Final = ("job_namespace", "job_name", "state")


def impact(
    of: Log | Database,
    text: str | None = None,
    *,
    fingerprint: str | None = None,
    column: str | None = None,
    subject: str | None = None,
    subjects_key: Path | Sequence[Path] = (),
) -> list[Row]:
    """Everything that learned from `DATASET[@VERSION]`, or from data of this fingerprint: an object each.

    `kind` is run, dataset, model or endpoint, in the order in which they were reached; `depth` counts the
    runs from the data to it, `since` says from when on: a run from its start, or else from the first that
    was heard of it. A run has `through`, the names of what it read of this, and which run wrote that
    (`written_by`, None for data that is asked for; `recorded` is false where a
    version is asked for, and which one was read is not recorded); a dataset or model `run_id`, the run
    that wrote it; a model `of_run`, how many models that run made: of several it may not say which
    learned from what. Bytes that another run registered are that version of the registry. Datasets and
    models are `possible` that on no way are known to come of it: on each a run read something, and nobody
    saw what for. An endpoint has `until`, None where it is in force, and `traffic_percent`, the share
    that this deployment told.

    With a `column` only what came of that column counts, and what may have: `columns` of a row are then those
    it came to (of a model, those that it learned from), None where nobody says. Left out is where a
    `columnLineage` of all columns rules it out, or where all that was fitted is columns of one dataset as
    they are in it.

    With a `subject`, and nothing else, everything that learned from data that held this person, by the value
    of the id column and the file of the key (or of several) that pseudonyms were made with. An index that
    cannot be looked into is a row of kind `index` with its `problem`, first of all: then there may be more.

    Raises NotFound when nothing or more than one thing is called so, when the data is known to have no such
    column, or no data has an index of its subjects.
    """
    with opened(of) as db:
        if subject is not None:
            held = subjects.find(db, subject, subjects_key)
            return with_endpoints(db, [*held.unread, *_walked(db, _holding(db, held.datasets))])
        level = _start(db, text, fingerprint, frozenset({column}) if column else None)
        if column:
            carried.check_column(db, column, {(thing.namespace, thing.name) for thing in level})
        return with_endpoints(db, _walked(db, level))


def _walked(db: Database, level: list[Thing]) -> list[Row]:
    """What `walk` finds, the runs with their jobs and states, but for those that only compared versions."""
    found = walk(db, level, Places(db))
    runs = {row["run_id"]: row for row in found if row["kind"] == "run"}
    for row in db.read("runs", f"run_id, {', '.join(_OF_RUN)}", runs=runs.keys()):
        runs[row["run_id"]].update(row)
    return [row for row in found if (row.get("job_namespace"), row.get("job_name")) != JOB]


def walk(db: Database, level: list[Thing], places: Places) -> list[Row]:
    """The runs, datasets and models that learned from these, however far away: rows as of `impact`.

    Of a run neither the job is told nor its state.
    """
    found: list[Row] = []
    runs: dict[str, Row] = {}
    asked = {(thing.namespace, thing.name, thing.run_id) for thing in level}
    told: dict[tuple[str, str, str, str | None], Row] = {}
    reading: set[Key] = set()
    behind: list[Thing] = []
    while level or behind:
        # Who read copies of it is looked up once for all that went before.
        if level:
            behind += level
            reached = readers(db, level, places)
        else:
            copied, behind = [thing for thing in behind if thing.digest], []
            reached = readers(db, copied, places, known=reading)
        reading |= {key_of(row) for row, _ in reached}
        for row, thing in reached:
            _tell_run(row, thing, runs, found)
        level = []
        for thing, row in _outputs(db, reached, places):
            if (thing.namespace, thing.name, thing.run_id) in asked:
                continue
            which = (row["namespace"], row["name"], row["run_id"], row["version"])
            known = told.setdefault(which, row)
            thing.depth = runs[row["run_id"]]["depth"]
            if known is row:
                row["depth"] = thing.depth
                found.append(row)
            elif known["possible"] and not thing.possible:
                known["possible"] = False  # and so is what comes of it
            else:
                continue
            level.append(thing)
    return sorted(found, key=lambda row: row["depth"])


def _start(
    db: Database, text: str | None, fingerprint: str | None, columns: frozenset[str] | None
) -> list[Thing]:
    """The data that is meant, as each run wrote or read it."""
    name, version = None, None
    if text is not None:
        name, version = _named(db, text)
    if version is None and fingerprint is None and name is not None:
        asked = Thing(name["namespace"], name["name"], columns=columns, any_version=True)
        return [asked, *written_as(db, asked)]
    if name is None:  # of content alone nothing says where it lies
        db.attach("run_datasets")
        table = "run_datasets"
    else:
        db.attach("mentions", keys=[name["name"]])
        runs = db.rows("SELECT DISTINCT run_id FROM near_mentions WHERE how IN ('name', 'identity')")
        db.attach("run_datasets", runs=[row["run_id"] for row in runs])
        table = "near_run_datasets"
    rows = db.rows(
        f"""SELECT DISTINCT namespace, name, version, fingerprint, identities,
            CASE WHEN role = 'output' THEN run_id END AS run_id, {DIGEST}
        FROM {table}
        WHERE ($namespace IS NULL OR (namespace, name) = ($namespace, $name)
                OR list_contains(identities, concat($namespace, chr(9), $name)))
            AND ($version IS NULL OR version = $version
                OR (length($version) >= $digits AND starts_with(fingerprint, $version)))
            AND ($fingerprint IS NULL OR starts_with(fingerprint, $fingerprint))
        ORDER BY ALL""",  # noqa: S608  a name of ours
        namespace=name and name["namespace"],
        name=name and name["name"],
        version=version,
        digits=_DIGITS,
        fingerprint=fingerprint,
    )
    if not rows:
        raise NotFound(_unknown_content(db, name, text, version, fingerprint))
    return [Thing(**row, columns=columns) for row in rows]


def _unknown_content(
    db: Database, name: Row | None, text: str | None, version: str | None, fingerprint: str | None
) -> str:
    """What to say where what is called so never had this content: which it had, the newest first."""
    called = (text or "data").removesuffix(f"@{version}")
    asked = [f"with fingerprint {fingerprint}"] if fingerprint else []
    what = " ".join([f"version {version} of {called}" if version else called, *asked])
    known = db.read(
        "mentions",
        "coalesce(version, fingerprint) AS version",
        keys=[name["name"]] if name else [],
        where="""how IN ('name', 'identity') AND coalesce(version, fingerprint) IS NOT NULL
            AND (key_namespace, key) = ($namespace, $name)""",
        then=f"GROUP BY ALL ORDER BY max(coalesce(wrote_at, last_event_at)) DESC, version LIMIT {_VERSIONS}",
        namespace=name and name["namespace"],
        name=name and name["name"],
    )
    versions = [row["version"] for row in known]
    short = [one[:_SHORT] if len(one) > 2 * _SHORT else one for one in versions]
    has = f" It has: {', '.join(short)}." if short else ""
    return f"No {what} is known.{has}"


def _holding(db: Database, datasets: Sequence[tuple[str, str, str, str]]) -> list[Thing]:
    """These datasets as the runs wrote or read them, and all of the same content."""
    db.attach("run_datasets")
    db.fill("held", ("run_id", "role", "namespace", "name"), datasets)
    db.attach("run_datasets")
    rows = db.rows("""
        WITH said AS (SELECT d.* FROM run_datasets AS d SEMI JOIN held USING (run_id, role, namespace, name))
        SELECT DISTINCT namespace, name, version, fingerprint, identities,
            CASE WHEN role = 'output' THEN run_id END AS run_id,
            CASE WHEN role = 'input' THEN run_id END AS reader
        FROM (FROM said UNION BY NAME
            SELECT d.* FROM run_datasets AS d SEMI JOIN said ON d.fingerprint = said.fingerprint)
        ORDER BY ALL""")
    return [Thing(**row) for row in rows]


def _named(db: Database, text: str) -> tuple[Row, str | None]:
    for in_full in (True, False):
        if found := names.find_dataset(db, text, in_full=in_full):
            return found, None
        for name, version in names.readings(text):
            if version and (found := names.find_dataset(db, name, in_full=in_full)):
                model = names.find_model(db, text, in_full=in_full) if found["kind"] == "model" else None
                return found, model["version"] if model else version  # of an alias the version that has it
    if model := names.find_model(db, text, in_full=False):
        return model, model["version"] if "@" in text else None
    raise NotFound(names.unknown_dataset(db, names.readings(text)[0][0]))


def _tell_run(row: Row, thing: Thing, runs: dict[str, Row], found: list[Row]) -> None:
    through = {"namespace": thing.namespace, "name": thing.name, "written_by": thing.run_id}
    through |= {"use": row["use"], "recorded": row["recorded"]}
    known = runs.get(row["run_id"])
    if known is None:
        since = row["started_at"] or row["first_event_at"]
        known = {"kind": "run", "run_id": row["run_id"], **dict.fromkeys(_OF_RUN)}
        known |= {"since": since, "through": [], "depth": thing.depth + 1}
        runs[row["run_id"]] = known
        found.append(known)
    if through not in known["through"]:
        known["through"].append(through)


def _outputs(db: Database, reached: list[tuple[Row, Thing]], places: Places) -> list[tuple[Thing, Row]]:
    """What the runs made of what they read: along their edges; a model under all of its names."""
    columns: dict[tuple[str, str, str], frozenset[str] | None] = {}
    for row, thing in reached:
        both = (columns.get(key_of(row), frozenset()), thing.columns)
        columns[key_of(row)] = None if None in both else frozenset().union(*(each or () for each in both))
    if not columns:
        return []
    sure = {key_of(row) for row, thing in reached if not thing.possible}
    runs = {row["run_id"]: row for row, _ in reached}
    asked = any(each is not None for each in columns.values())
    said = carried.said_of_columns(db, runs.keys()) if asked else carried.Said()
    made: list[tuple[Thing, Row]] = []
    for row in _made_of(db, columns.keys(), runs, places):
        read = (row["read_namespace"], row["read_name"])
        also = names_of(row["read_identities"])
        came = carried.columns(said, row, read, columns[row["run_id"], *read], also=also)
        row["possible"] = row["possible"] or (row["run_id"], *read) not in sure
        if came is None or came:
            made.append(_made(row, came))
    return made


def _made_of(db: Database, reached: Collection[Key], runs: Mapping[str, Row], places: Places) -> list[Row]:
    """What runs put out that one of their inputs (run id, namespace, name) went into."""
    rows = places.of(runs)
    outputs = by_key(row for row in rows if row["role"] == "output")
    inputs = by_key(row for row in rows if row["role"] == "input")
    sure = _known_to_come_of(rows, outputs, reached)
    named = sure | {
        (key_of(one), key)
        for key, several in unused(rows).items()
        for one in several
        if key_of(one) in reached
    }
    made = {key: outputs[key] for _, key in named}
    versions, told_apart, models = (
        _versions(db, itertools.chain(*made.values())),
        apart(rows),
        models_of(rows),
    )
    by_maker = {
        _content(row) for several in outputs.values() for row in several if _which(row, outputs, versions)
    }
    found = []
    for read, key in named:
        links = [link for row in inputs.get(read, ()) for link in row["identities"] or ()]
        names = {"read_namespace": read[1], "read_name": read[2], "read_identities": links}
        for row in made[key]:
            known = _which(row, outputs, versions)
            if row["kind"] == "model" and not known and _content(row) in by_maker:
                continue  # a run around the one that made it tells of it too
            of_run = None if key in told_apart else models.get(key[0])
            for model in known or [_NO_MODEL]:
                told = {name: model[name] for name in _OF_MODEL} | {"possible": (read, key) not in sure}
                told |= {"model": (model["namespace"], model["name"]) if model["model_version"] else key[1:]}
                since = model["created_at"] or runs[key[0]]["wrote_at"]
                found.append(row | names | told | {"since": since, "of_run": of_run})
    order = ("run_id", "namespace", "name", "read_namespace", "read_name")
    return sorted(found, key=lambda row: (by_time(row["since"]), *(row[name] for name in order)))


def _known_to_come_of(
    rows: list[Row], outputs: Mapping[Key, list[Row]], reached: Collection[Key]
) -> set[tuple[Key, Key]]:
    """(input, output): which of these outputs came of what was reached, a model under all of its names."""
    copies: dict[tuple[str, str], list[Key]] = {}
    for row in itertools.chain(*outputs.values()):
        if row["kind"] == "model" and row["fingerprint"] is not None:
            copies.setdefault((row["run_id"], row["fingerprint"]), []).append(key_of(row))
    found = set()
    for read, output in leading(rows):
        for direct in outputs.get(output, ()) if read in reached else ():
            others = (
                copies.get((direct["run_id"], direct["fingerprint"]), []) if direct["kind"] == "model" else []
            )
            found |= {(read, output), *((read, key) for key in others if key != read)}
    return found


def _which(row: Row, outputs: Mapping[Key, list[Row]], versions: Mapping[Key, list[Row]]) -> list[Row]:
    """The model versions that an output is: of its name all, unless there are outputs for several."""
    of_name = versions.get(key_of(row), [])
    if len(outputs[key_of(row)]) == 1:
        return of_name
    return [
        model
        for model in of_name
        if (
            model["digest"] == row["fingerprint"]
            if row["fingerprint"]
            else model["model_version"] == row["version"]
        )
    ]


def _content(row: Row) -> tuple[str, str, str | None]:
    return row["namespace"], row["name"], row["fingerprint"]


_OF_MODEL: Final = ("model_version", "digest", "registered_name")
_NO_MODEL: Final[Row] = dict.fromkeys((*_OF_MODEL, "created_at", "namespace", "name"))


def _versions(db: Database, made: Iterable[Row]) -> dict[Key, list[Row]]:
    """The model versions that these outputs are, by run and name.

    Of bytes that others registered, under whatever name, these versions instead of one without a registry.
    """
    models = [row for row in made if row["kind"] == "model"]
    outputs = {key_of(row) for row in models}
    same = {(row["run_id"], row["fingerprint"]): key_of(row) for row in models if row["fingerprint"]}
    alike = db.read(
        "mentions",
        "DISTINCT namespace, name",
        keys={digest for _, digest in same},
        where="how = 'digest' AND kind = 'model'",
    )
    found: dict[Key, list[Row]] = {}
    elsewhere: dict[Key, list[Row]] = {}
    for row in db.read(
        "models",
        "run_id, namespace, name, version AS model_version, digest, registered_name, created_at",
        models={(row["namespace"], row["name"]) for row in (*models, *alike)},
        where="list_contains($making, run_id)",
        making=sorted({row["run_id"] for row in models}),
    ):
        if key_of(row) in outputs:
            found.setdefault(key_of(row), []).append(row)
        elif row["registered_name"] and (key := same.get((row["run_id"], row["digest"]))):
            elsewhere.setdefault(key, []).append(row)
    for key, rows in elsewhere.items():
        found[key] = [*(row for row in found.get(key, ()) if row["registered_name"]), *rows]
    return found


def _made(row: Row, columns: frozenset[str] | None) -> tuple[Thing, Row]:
    fields = ("namespace", "name", "run_id", "version", "fingerprint")
    followed = None if row["kind"] == "model" else columns  # what a model makes comes of all that it is
    names = {name: row[name] for name in fields}
    identities = [*(row["identities"] or []), "\t".join(row["model"])]
    digest = row["fingerprint"] if row["namespace"] != IN_MEMORY else None
    thing = Thing(**names, identities=identities, columns=followed, possible=row["possible"], digest=digest)
    told = {"kind": "model" if row["model_version"] else row["kind"], **names}
    told["namespace"], told["name"] = row["model"]
    if row["model_version"]:
        told |= {"version": row["model_version"], "fingerprint": row["digest"] or row["fingerprint"]}
    if told["kind"] == "model":
        told["of_run"] = row["of_run"]
    told |= {name: row[name] for name in ("registered_name", "since", "possible")}
    return thing, told | {"columns": sorted(columns) if columns is not None else None}
