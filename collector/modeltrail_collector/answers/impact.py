"""What learned from a dataset: run by run forwards, to datasets, model versions and endpoints."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from modeltrail_collector.answers import carried, names, subjects
from modeltrail_collector.answers.database import Database, Row, opened
from modeltrail_collector.answers.trace import Node, find_writers
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Log

_DEPTH: Final = 100
_DIGITS: Final = 4

_Name = tuple[str, str]


class _Thing(msgspec.Struct):
    """A dataset as one run wrote it, or as it was asked for; `columns` are those meant, None: all.

    `reader` is a run that read it, whatever else is known of that.
    """

    namespace: str
    name: str
    run_id: str | None = None
    version: str | None = None
    fingerprint: str | None = None
    identities: list[str] = []
    columns: frozenset[str] | None = None
    any_version: bool = False
    reader: str | None = None

    def aliases(self) -> set[_Name]:
        """What a reader may call it: its names, and the folders that it lies in."""
        links = (link.partition("\t")[::2] for link in self.identities or ())
        folders = [
            str(folder) for folder in PurePosixPath(self.name).parents if str(folder) not in {"/", "."}
        ]
        return {(self.namespace, self.name), *links, *((self.namespace, folder) for folder in folders)}


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
    runs from the data to it, `since` says from when on. A run has `through`, the names of what it read of
    this; a dataset or model `run_id`, the run that wrote it. With a `column` only what came of that column
    counts, as far as producers say (`columnLineage`, the features of a training); `columns` of a row are then
    those it came to, None where nobody says. At most 100 runs deep.

    With a `subject`, and nothing else, everything that learned from data that held this person, by the value
    of the id column and the file of the key (or of several) that pseudonyms were made with. An index that
    cannot be looked into is a row of kind `index` with its `problem`, first of all: then there may be more.

    Raises NotFound when nothing or more than one thing is called so, or no data has an index of its subjects.
    """
    with opened(of) as db:
        found: list[Row] = []
        if subject is not None:
            held = subjects.find(db, subject, subjects_key)
            level = _holding(db, held.datasets)
            found += held.unread
        else:
            level = _start(db, text, fingerprint, frozenset({column}) if column else None)
        runs: dict[str, Row] = {}
        told = {(thing.namespace, thing.name, thing.run_id) for thing in level}
        for depth in range(1, _DEPTH + 1):
            if not level:
                break
            reached = _readers(db, level)
            for row, thing in reached:
                _tell_run(row, thing, depth, runs, found)
            level = []
            for thing, row in _outputs(db, reached):
                identity = (thing.namespace, thing.name, thing.run_id)
                if identity not in told:
                    told.add(identity)
                    level.append(thing)
                    found.append(row | {"depth": depth})
        return _with_endpoints(db, found)


def _start(
    db: Database, text: str | None, fingerprint: str | None, columns: frozenset[str] | None
) -> list[_Thing]:
    """The data that is meant, as each run wrote or read it."""
    name, version = None, None
    if text is not None:
        name, version = _named(db, text)
    if version is None and fingerprint is None and name is not None:
        return [_Thing(name["namespace"], name["name"], columns=columns, any_version=True)]
    if name is None:  # of content alone nothing says where it lies
        db.attach("run_datasets")
        table = "run_datasets"
    else:
        db.attach("mentions", keys=[name["name"]])
        runs = db.rows("SELECT DISTINCT run_id FROM near_mentions WHERE how = 'name'")
        db.attach("run_datasets", runs=[row["run_id"] for row in runs])
        table = "near_run_datasets"
    rows = db.rows(
        f"""SELECT DISTINCT namespace, name, version, fingerprint, identities,
            CASE WHEN role = 'output' THEN run_id END AS run_id
        FROM {table}
        WHERE ($namespace IS NULL OR (namespace, name) = ($namespace, $name))
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
        said = f"{text} " if text else ""
        raise NotFound(
            f"No data {said}with {'version ' + version if version else 'this fingerprint'} is known."
        )
    return [_Thing(**row, columns=columns) for row in rows]


def _holding(db: Database, datasets: Sequence[tuple[str, str, str, str]]) -> list[_Thing]:
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
    return [_Thing(**row) for row in rows]


def _named(db: Database, text: str) -> tuple[Row, str | None]:
    try:
        return names.dataset(db, text), None
    except NotFound:
        name, at, version = text.rpartition("@")
        if not at or not name:
            raise
        return names.dataset(db, name), version


def _readers(db: Database, things: list[_Thing]) -> list[tuple[Row, _Thing]]:
    """The inputs of runs that are one of these things."""
    by_name: dict[_Name, list[_Thing]] = {}
    for thing in things:
        for alias in thing.aliases():
            by_name.setdefault(alias, []).append(thing)
    rows = _reading(db, sorted(by_name))
    pairs = [(row, by_name[row.pop("known_namespace"), row.pop("known_name")]) for row in rows]
    writers = _writers(db, pairs)
    return [
        (row, thing)
        for row, candidates in pairs
        for thing in candidates
        if _is_read(row, thing, writers.get(_key(row)))
    ]


def _reading(db: Database, wanted: list[_Name]) -> list[Row]:
    """The inputs of runs that are called so, each with its run.

    What a run itself put out under this name (an evaluation inside of it) it did not learn from.
    """
    db.fill("wanted", ("namespace", "name"), wanted)
    names = {name for _, name in wanted}
    db.attach("mentions", keys=names)
    db.connection.execute("""CREATE OR REPLACE TEMP TABLE read AS
        SELECT DISTINCT w.namespace AS known_namespace, w.name AS known_name, run_id, m.namespace, m.name,
            version, fingerprint, use
        FROM wanted AS w JOIN near_mentions AS m ON (m.key_namespace, m.key) = (w.namespace, w.name)
        WHERE role = 'input' AND how IN ('name', 'identity')""")
    called = db.rows("SELECT DISTINCT name, run_id FROM read")
    if not called:
        return []
    db.attach("mentions", keys=names | {row["name"] for row in called})
    db.attach("runs", runs={row["run_id"] for row in called})
    return db.rows("""
        SELECT read.*, state, started_at, last_event_at, job_namespace, job_name
        FROM read JOIN near_runs USING (run_id)
        ANTI JOIN (
            FROM near_mentions WHERE how = 'name' AND role = 'output' AND kind = 'model'
        ) AS made USING (run_id, namespace, name)
        ORDER BY started_at, run_id, namespace, name""")


def _key(row: Row) -> tuple[str, str, str]:
    return row["run_id"], row["namespace"], row["name"]


def _writers(db: Database, pairs: Iterable[tuple[Row, list[_Thing]]]) -> dict[tuple[str, str, str], str]:
    """The run that wrote what each reader saw, as `trace` finds it."""
    nodes = {}
    for row, things in pairs:
        if not all(thing.any_version for thing in things):
            before = row["started_at"] or row["last_event_at"]
            nodes[_key(row)] = Node(
                row["namespace"],
                row["name"],
                version=row["version"],
                fingerprint=row["fingerprint"],
                before=before,
            )
    find_writers(db, list(nodes.values()))
    return {key: node.run["run_id"] for key, node in nodes.items() if node.run}


def _is_read(row: Row, thing: _Thing, writer: str | None) -> bool:
    """Whether what a run read is this: by its content, else its version, else by who wrote it before."""
    if thing.any_version or thing.reader == row["run_id"]:
        return True
    same_name = (row["namespace"], row["name"]) == (thing.namespace, thing.name)
    for field in ("fingerprint", "version"):
        said, read = getattr(thing, field), row[field]
        if said is not None and read is not None and same_name:
            return bool(said == read)
    return thing.run_id is not None and writer == thing.run_id


def _tell_run(row: Row, thing: _Thing, depth: int, runs: dict[str, Row], found: list[Row]) -> None:
    through = {"namespace": thing.namespace, "name": thing.name, "use": row["use"]}
    known = runs.get(row["run_id"])
    if known is None:
        told = {name: row[name] for name in ("run_id", "job_namespace", "job_name", "state")}
        since = row["started_at"] or row["last_event_at"]
        known = {"kind": "run", **told, "since": since, "through": [], "depth": depth}
        runs[row["run_id"]] = known
        found.append(known)
    if through not in known["through"]:
        known["through"].append(through)


def _outputs(db: Database, reached: list[tuple[Row, _Thing]]) -> list[tuple[_Thing, Row]]:
    """What the runs made of what they read: along their edges; a model under all of its names."""
    columns: dict[tuple[str, str, str], frozenset[str] | None] = {}
    for row, thing in reached:
        both = (columns.get(_key(row), frozenset()), thing.columns)
        columns[_key(row)] = None if None in both else frozenset().union(*(each or () for each in both))
    if not columns:
        return []
    rows = _made_of(db, sorted(columns))
    said = carried.said_of_columns(db) if any(each is not None for each in columns.values()) else {}
    made: list[tuple[_Thing, Row]] = []
    for row in rows:
        read = (row["read_namespace"], row["read_name"])
        came = carried.columns(said, row, read, columns[row["run_id"], *read])
        if came is None or came:
            made.append(_made(row, came))
    return made


def _made_of(db: Database, reached: list[tuple[str, str, str]]) -> list[Row]:
    """What runs put out that one of their inputs (run id, namespace, name) went into."""
    runs = {run_id for run_id, _, _ in reached}
    db.fill("reached", ("run_id", "namespace", "name"), reached)
    db.attach("edges", "run_datasets", "runs", runs=runs)
    db.connection.execute("""CREATE OR REPLACE TEMP TABLE named AS
        WITH placed AS (
            SELECT * EXCLUDE (bucket) FROM near_run_datasets SEMI JOIN reached USING (run_id)
            WHERE role = 'output'
        ),
        direct AS (
            SELECT DISTINCT r.run_id, r.namespace AS read_namespace, r.name AS read_name, o.*
                EXCLUDE (run_id)
            FROM reached AS r
            JOIN near_edges AS e ON e.run_id = r.run_id
                AND (e.from_namespace, e.from_name) = (r.namespace, r.name)
            JOIN placed AS o ON o.run_id = e.run_id AND (o.namespace, o.name) = (e.to_namespace, e.to_name)
        )
        SELECT * FROM direct
        UNION
        SELECT d.run_id, d.read_namespace, d.read_name, o.* EXCLUDE (run_id)
        FROM direct AS d JOIN placed AS o ON o.run_id = d.run_id
            AND o.kind = 'model' AND d.kind = 'model' AND o.fingerprint = d.fingerprint""")
    names = db.rows("SELECT DISTINCT namespace, name FROM named")
    db.attach("models", models=[(row["namespace"], row["name"]) for row in names])
    return db.rows("""
        SELECT DISTINCT n.run_id, read_namespace, read_name, n.namespace, n.name, n.kind, n.version,
            n.fingerprint, n.identities, m.version AS model_version, m.digest, m.registered_name,
            coalesce(m.created_at, runs.ended_at, runs.last_event_at) AS since
        FROM named AS n JOIN near_runs AS runs ON runs.run_id = n.run_id
        LEFT JOIN near_models AS m ON m.run_id = n.run_id AND (m.namespace, m.name) = (n.namespace, n.name)
        ORDER BY since, n.run_id, n.namespace, n.name, read_namespace, read_name""")


def _made(row: Row, columns: frozenset[str] | None) -> tuple[_Thing, Row]:
    fields = ("namespace", "name", "run_id", "version", "fingerprint")
    thing = _Thing(
        **{name: row[name] for name in fields}, identities=row["identities"] or [], columns=columns
    )
    told = {"kind": "model" if row["model_version"] else row["kind"]}
    told |= {name: row[name] for name in fields}
    if row["model_version"]:
        told |= {"version": row["model_version"], "fingerprint": row["digest"] or row["fingerprint"]}
    told |= {"registered_name": row["registered_name"], "since": row["since"]}
    return thing, told | {"columns": sorted(columns) if columns is not None else None}


def _with_endpoints(db: Database, found: list[Row]) -> list[Row]:
    """Where the model versions were put to use, since when: each deployment, and endpoints without one."""
    wanted = {
        (name, row["version"] or "", row["fingerprint"] or "")
        for row in found
        if row["kind"] == "model"
        for name in (row["name"], row["registered_name"])
        if name
    }
    db.fill("made", ("name", "version", "digest"), sorted(wanted))
    db.attach("deployments", held=True)
    rows = db.rows("""
        WITH used AS (
            SELECT d.* FROM deployments AS d JOIN made AS m ON d.model_digest = m.digest
            UNION ALL
            SELECT d.* FROM deployments AS d JOIN made AS m
                ON (d.model_name, d.model_version) = (m.name, m.version)
            WHERE d.model_digest IS NULL OR m.digest = ''
        )
        SELECT DISTINCT run_id, platform, endpoint, uri, environment, action, model_name,
            model_version AS version, effective_at AS since
        FROM used ORDER BY since, endpoint""")
    depth = {row["run_id"]: row["depth"] for row in found if row["kind"] == "run"}
    deepest = max((row["depth"] for row in found if row["kind"] == "model"), default=0) + 1
    told = {row["run_id"] for row in rows}
    kept = ("run_id", "version", "since", "depth")
    undeclared = [
        _ENDPOINT | {name: row[name] for name in kept} | {"endpoint": row["name"]}
        for row in found
        if row["kind"] == "endpoint" and row["run_id"] not in told
    ]
    return [
        *(row for row in found if row["kind"] != "endpoint"),
        *({**_ENDPOINT, **row, "depth": depth.get(row["run_id"], deepest)} for row in rows),
        *undeclared,
    ]


_FIELDS: Final = ("run_id", "platform", "endpoint", "uri", "environment", "action", "model_name", "version")
_ENDPOINT: Final[Row] = {"kind": "endpoint", **dict.fromkeys(_FIELDS)}
