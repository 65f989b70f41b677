"""All that a report can say about one model version, asked of the log once."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import msgspec

from modeltrail_collector.answers import names, trace
from modeltrail_collector.answers.database import Database, Row, opened
from modeltrail_collector.answers.places import key_of, led_to, own_models, symlinks_of
from modeltrail_collector.answers.show import SECTIONS, is_of_another
from modeltrail_collector.answers.show import told as told_of
from modeltrail_collector.answers.why import code, made
from modeltrail_collector.answers.why import facts as told
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Log, ambiguous
from modeltrail_collector.reports import mine
from modeltrail_collector.reports import statements as said_
from modeltrail_collector.reports.document import Identity, Statement, Step, Thing
from modeltrail_collector.reports.proof import Evidence, Places, evidence
from modeltrail_collector.reports.statements import File, Said

EVALUATED: Final = "evaluated it"
MADE_DATA: Final = "made data"
_MAYBE: Final = f"may have {MADE_DATA}"
MADE_BASE: Final = "made a model that it came from"
IN_MEMORY: Final = "inmemory://"
_IN_REGISTRY: Final = {
    "register": "registered it",
    "alias_set": "set an alias of it",
    "alias_removed": "removed an alias of it",
    "stage_change": "moved it to another stage",
    "deprecate": "deprecated it",
    "delete": "deleted it from its registry",
}
_KEYS: Final = (
    "modelTrail_training", "modelTrail_hyperparameters", "modelTrail_environment", "modelTrail_codeState",
    "modelTrail_dataUse", "modelTrail_featureProfile", "modelTrail_featureTransformations",
    "modelTrail_metrics", "modelTrail_metricSeries", "modelTrail_evaluation", "modelTrail_model",
    "modelTrail_modelArtifact", "modelTrail_registration", "modelTrail_deployment", "modelTrail_monitoring",
    "sourceCodeLocation", "documentation", "ownership", "schema", "test", "processing_engine",
    "executionParameters", "columnLineage", "dataQualityAssertions", "sql", "sourceCode",
)  # fmt: skip


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one version.

    `past` are the moments of which it speaks, in the words of a report: none is now. `story` is the answer of
    `show`, `tree` that of `trace`. `facets` are those of all runs of the trail, with
    `value` decoded and `place` named. `steps` go from the raw data, `raw`, to the endpoints. `code_changes`
    are (job, how its code differs from that of the version before, as `answers.why` compares it): of the job
    that made it, and of those that prepared its data where it differs; empty for the first version.
    """

    log: str
    past: tuple[tuple[str, str], ...]
    name: str
    version: str
    story: dict[str, Any]
    tree: dict[str, Any]
    steps: tuple[Step, ...]
    raw: tuple[Thing, ...]
    facets: tuple[Row, ...]
    series: tuple[Row, ...]
    versions: tuple[Row, ...]
    code_changes: tuple[tuple[str, Row], ...]
    evidence: Evidence
    places: Places
    file: File | None
    said: Said

    @property
    def model(self) -> dict[str, Any]:
        """The row of table `models`."""
        model: dict[str, Any] = self.story["model"]
        return model

    @property
    def maker(self) -> str | None:
        """The run that made it; None where all that is known is who registered it."""
        run = self.story["run"] or {}
        return None if run.get("only_registered") else self.model["run_id"]

    @property
    def bases(self) -> tuple[Thing, ...]:
        """The models that the making run read."""
        return tuple(
            thing
            for step in self.steps
            if step.run_id == self.maker
            for thing in step.reads
            if thing.kind == "model"
        )

    def about(self, key: str, *, run: str | None = None) -> Iterator[tuple[Row, dict[str, Any]]]:
        """Facets of this key that are objects, of one run (None: of the one that made the model)."""
        wanted = run or self.model["run_id"]
        for row in self.facets:
            if row["key"] == key and row["run_id"] == wanted and isinstance(row["value"], dict):
                yield row, row["value"]

    def everywhere(self, key: str) -> Iterator[tuple[Row, dict[str, Any]]]:
        """Facets of this key that are objects, of any run of the trail."""
        for row in self.facets:
            if row["key"] == key and isinstance(row["value"], dict):
                yield row, row["value"]


def gather(of: Log | Database, text: str, statements: Path | None = None) -> Dossier:
    """Everything about `MODEL[@VERSION]`; of a `Database` as it was at its moment.

    Raises:
        NotFound: No such model.
        ConfigError: The statements cannot be read.
    """
    with opened(of) as db:
        return _gather(db, text, statements)


def _gather(db: Database, text: str, statements: Path | None) -> Dossier:
    story = told_of(db, names.model(db, text), SECTIONS)
    tree, model, log = trace(db, text), story["model"], db.log
    name = model["registered_name"] or model["name"].rpartition("/")[2]
    version = str(model["version"])
    file = said_.read(statements, name, version) if statements else None
    places = Places(ambiguous(log))
    db.attach("models", models=[(model["namespace"], model["name"])])
    roles = _roles(db, story, tree)
    db.attach("events", "facets", "metrics", "runs", "run_datasets", runs=[*roles, model["run_id"]])
    db.fill("trail", ("run_id",), [(run,) for run in roles])
    events = _events(db)
    facets, own = _facets(db, places), mine.of(db, story, roles)
    runs = {model["run_id"], model["registered_run_id"]}
    about = [row for row in facets if row["run_id"] in runs and _is_of(row, model)]
    declared = _once([*(file.statements if file else ()), *said_.declared(about)])
    return Dossier(
        log=log.uri,
        past=tuple(_past(db)),
        name=name,
        version=version,
        story=story,
        tree=tree,
        steps=tuple(own.step(step) for step in _steps(db, roles, events, places, tree)),
        raw=tuple(_raw(tree)) if own.is_made else (),
        facets=tuple(own.facets(facets)),
        series=tuple(_series(db, story)) if own.is_made else (),
        versions=tuple(_versions(db, model)),
        code_changes=tuple(_code_changes(db, story)),
        evidence=evidence(log, events, facets, places),
        places=places,
        file=file,
        said=said_.by_topic(declared),
    )


def _past(db: Database) -> Iterator[tuple[str, str]]:
    for words, at in (("as it was at", db.moment.event_time), ("as known at", db.moment.arrival)):
        if at is not None:
            yield words, at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _once(statements: Iterable[Statement]) -> list[Statement]:
    """Each statement once: a model's card stands with its file and again with its registered name."""
    return list({(one.topic, one.text, one.author): one for one in reversed([*statements])}.values())[::-1]


def _is_of(row: Row, model: Row) -> bool:
    """Whether a facet speaks of the job, or of the model: by its name or, as a file, by the run alone."""
    if row["scope"] == "job":
        return True
    identity = (row["namespace"], row["name"])
    return row["scope"] == "output" and (
        identity == (model["namespace"], model["name"]) or row["key"] == "modelTrail_model"
    )


def _roles(db: Database, story: dict[str, Any], tree: dict[str, Any]) -> dict[str, list[str]]:
    """Run id -> what it did in the life of the model."""
    model = story["model"]
    roles: dict[str, list[str]] = {}
    is_made = not (story["run"] or {}).get("only_registered")
    for run, what in [*_runs_of(tree)] if is_made else ():
        roles.setdefault(run, []).append(what)
    for run, several in roles.items():
        roles[run] = [what for what in several if what != _MAYBE or MADE_DATA not in several]
    if is_made:
        roles[model["run_id"]] = ["made the model"]
    if model["registered_run_id"]:
        roles.setdefault(model["registered_run_id"], []).append(_IN_REGISTRY["register"])
    for what, rows in ((EVALUATED, story["evaluations"]), ("deployed it", story["deployments"])):
        for row in rows or ():
            roles.setdefault(row["run_id"], []).append(what)
    for row in (story["registration"] or {}).get("history", ()):
        what = _IN_REGISTRY.get(str(row["action"]), "told of it as registered")
        roles.setdefault(row["run_id"], []).append(what)
    for row in _monitoring(db, model):
        roles.setdefault(row["run_id"], []).append(mine.MONITORED)
    return {run: list(dict.fromkeys(several)) for run, several in roles.items()}


def _runs_of(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each run, and what it did for a thing."""
    if node["run"] is not None:
        made = _MAYBE if node["unsure"] else MADE_BASE if node["kind"] == "model" else MADE_DATA
        yield node["run"]["run_id"], made
    for child in node["inputs"]:
        yield from _runs_of(child)


def _possible(node: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What runs read that may have gone into what they made: run, namespace and name."""
    for child in node["inputs"]:
        if child["possible"]:
            yield node["run"]["run_id"], child["namespace"], child["name"]
        yield from _possible(child)


def _copies(node: dict[str, Any]) -> Iterator[tuple[tuple[str, str, str], Row]]:
    """What runs (id, namespace, name) read that was copied there, each with what it is a copy of."""
    for child in node["inputs"]:
        if child["copy_of"] is not None and node["run"] is not None:
            yield (node["run"]["run_id"], child["namespace"], child["name"]), child["copy_of"]
        yield from _copies(child)


def _raw(node: dict[str, Any]) -> Iterator[Thing]:
    """What no run of the log wrote: where the trail begins. What was only in memory came from elsewhere."""
    seen: set[Identity] = set()
    level = [node]
    while level:
        for one in level:
            thing = _thing(one, one["use"], first=True)
            is_raw = one["run"] is None and not one["inputs"] and one["namespace"] != IN_MEMORY
            if is_raw and thing.identity not in seen:
                seen.add(thing.identity)
                yield thing
        level = [child for one in level for child in one["inputs"]]


def _thing(row: Row, role: str | None, *, first: bool = False) -> Thing:
    return Thing(
        name=row["name"],
        namespace=row["namespace"],
        kind=row["kind"] or "dataset",
        role=role,
        version=row["version"],
        digest=row["fingerprint"],
        rows=row["rows"],
        capture=row.get("capture"),
        first=first,
        is_possible=row["possible"],
        copy_of=row["copy_of"] and row["copy_of"]["name"],
        led_to=tuple(led_to(row)),
        others=tuple((one["namespace"], one["name"]) for one in row["symlinks"]),
    )


def _monitoring(db: Database, model: Row) -> list[Row]:
    db.attach("facets")
    return db.rows(
        """SELECT run_id FROM facets WHERE "key" = 'modelTrail_monitoring' AND CASE
            WHEN "value" ->> '$.model.digest' IS NOT NULL AND $digest IS NOT NULL
                THEN "value" ->> '$.model.digest' = $digest
            ELSE "value" ->> '$.model.name' IN ($name, $registered)
                AND "value" ->> '$.model.version' = $version END ORDER BY happened_at""",
        digest=model["digest"],
        name=model["name"],
        registered=model["registered_name"],
        version=model["version"],
    )


def _events(db: Database) -> list[Row]:
    return db.rows("""SELECT topic, topic_id, "partition", "offset", verdict, event_type, event_time, run_id,
            job_name, sha256
        FROM near_events SEMI JOIN trail USING (run_id)
        ORDER BY topic, topic_id, "partition", "offset" """)


def _facets(db: Database, places: Places) -> list[Row]:
    keys = ", ".join(f"'{key}'" for key in _KEYS)
    rows = db.rows(f"""SELECT run_id, scope, namespace, name, "key", "value" AS text, happened_at, topic,
            topic_id, "partition", "offset"
        FROM near_facets SEMI JOIN trail USING (run_id)
        WHERE "key" IN ({keys}) AND "value" IS NOT NULL
        ORDER BY happened_at, topic, topic_id, "partition", "offset", scope, namespace, name, "key", part""")  # noqa: S608
    return [row | {"value": json.loads(row["text"]), "place": places.name(row)} for row in rows]


def _series(db: Database, story: Row) -> list[Row]:
    """What the making run measured over steps, without what is of other models that it fitted."""
    others = {row["model_id"] for row in story["metrics"] or () if is_of_another(row)}
    found = db.rows(
        """SELECT name, model_id, coalesce(split, '') AS split, coalesce(slice, '') AS slice, step, "value"
        FROM near_metrics
        WHERE run_id = $run AND step IS NOT NULL AND source <> 'evaluation'
        ORDER BY name, split, slice, step""",
        run=story["model"]["run_id"],
    )
    return [row for row in found if row["model_id"] not in others]


def _versions(db: Database, model: Row) -> list[Row]:
    return db.rows(
        """SELECT version, created_at, run_id, digest, aliases, deleted_at FROM near_models
        WHERE (namespace, name) = ($namespace, $name) ORDER BY created_at, version""",
        namespace=model["namespace"],
        name=model["name"],
    )


def _code_changes(db: Database, story: dict[str, Any]) -> Iterator[tuple[str, Row]]:
    model, changes = story["model"], story["changes"]
    if not changes:
        return
    try:
        before = told.version(db, model["namespace"], model["name"], changes[0]["base_version"])
    except NotFound:  # its records were removed, or it was registered again and is called otherwise now
        return
    both = told.stories(db, before, model)
    yield (story["run"] or {}).get("job_name", "the run that made it"), code.compare(*both, repository=None)
    for row in made.upstream(*both, repository=None):
        if row["differences"] and row["code"]["change"] in {"changed", "data"}:
            yield row["job"].rpartition("/")[2], row["code"]


def _steps(
    db: Database,
    roles: dict[str, list[str]],
    events: Sequence[Row],
    places: Places,
    tree: dict[str, Any],
) -> tuple[Step, ...]:
    """The runs of the trail in the order in which they happened."""
    runs = db.rows("""SELECT run_id, job_namespace, job_name, state, started_at, ended_at
        FROM near_runs SEMI JOIN trail USING (run_id)
        ORDER BY coalesce(started_at, ended_at, last_event_at), coalesce(ended_at, last_event_at), run_id""")
    used = db.rows("""SELECT run_id, role, namespace, name, version, fingerprint, use, rows, kind, capture,
            identities
        FROM near_run_datasets SEMI JOIN trail USING (run_id)
        ORDER BY run_id, coalesce(list_position(['train', 'validation', 'test'], use), 9), namespace, name""")
    possible, copies = {*_possible(tree)}, dict(_copies(tree))
    for row in used:
        key = (row["run_id"], *_named(row))
        row |= {"symlinks": symlinks_of(row), "possible": key in possible, "copy_of": copies.get(key)}
    used = _as_deployed(db, used)
    return tuple(_step(run, roles[run["run_id"]], used, events, places) for run in runs)


def _as_deployed(db: Database, used: list[Row]) -> list[Row]:
    """The same, the models that runs deployed with the digest that these say of them."""
    rows = db.read(
        "deployments",
        "run_id, model_namespace, model_name, model_digest",
        runs={row["run_id"] for row in used},
        where="model_digest IS NOT NULL",
    )
    said = {(row["run_id"], row["model_namespace"], row["model_name"]): row["model_digest"] for row in rows}
    return [
        row | {"fingerprint": row["fingerprint"] or said.get((row["run_id"], *_named(row)))}
        if row["role"] == "input"
        else row
        for row in used
    ]


def _step(run: Row, roles: list[str], used: list[Row], events: Sequence[Row], places: Places) -> Step:
    mine = [row for row in used if row["run_id"] == run["run_id"]]
    own = own_models(mine)
    return Step(
        what=", ".join(roles),
        job=run["job_name"],
        run_id=run["run_id"],
        state=run["state"],
        started_at=run["started_at"],
        ended_at=run["ended_at"],
        reads=tuple(
            _thing(row, row["use"]) for row in mine if row["role"] == "input" and key_of(row) not in own
        ),
        writes=tuple(_thing(row, None) for row in mine if row["role"] == "output"),
        events=tuple(places.name(row) for row in events if row["run_id"] == run["run_id"]),
    )


def _named(row: Row) -> tuple[str, str]:
    return row["namespace"], row["name"]
