"""What two model versions are compared by, read in a few queries: both trails, and what their runs said."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from modeltrail_collector.answers import names, registry
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.endpoints import deployed, in_force
from modeltrail_collector.answers.places import Places
from modeltrail_collector.answers.sources import judging, runs_of
from modeltrail_collector.answers.trace import trails
from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.tables.differences import Facet
from modeltrail_collector.tables.own import OF_MAKING, own
from modeltrail_collector.tables.own import figures as own_figures
from modeltrail_collector.tables.versions import preceded

_KEYS: Final = (
    "modelTrail_training", "modelTrail_hyperparameters", "modelTrail_environment", "modelTrail_codeState",
    "modelTrail_featureTransformations", "modelTrail_dataUse", "modelTrail_featureProfile",
    "modelTrail_evaluation", "modelTrail_metrics", "sourceCodeLocation", "processing_engine",
    "executionParameters", "schema", "version", "modelTrail_model", "modelTrail_modelArtifact", "lineage",
    "columnLineage", "parent", "environmentVariables", "sql", "sourceCode", "modelTrail_registration",
)  # fmt: skip

_FIGURE: Final = ("source", "name", "split", "dataset", "slice")

Place = dict[str, Any]
"""Where in the log a fact lies: topic, topic_id, partition, offset."""


class Said(msgspec.Struct, frozen=True):
    """One facet of a run, with its place in the log."""

    scope: str
    namespace: str | None
    name: str | None
    key: str
    value: dict[str, Any]
    place: Place
    part: str = ""


class Story(msgspec.Struct, frozen=True):
    """What the runs behind one version said.

    Attributes:
        model: the row of table `models`.
        run_id: the run that made it. Of several that made the same bytes: the one that registered them.
        trail: the tree of `answers.trace` from that run on, with what is only possible.
        runs: run id -> its facets.
        index: the last facet by (run id, key), and by (run id, namespace, name, key, part).
        datasets: run id -> its rows of table `run_datasets`.
        params: of the making run: rows of table `params`.
        figures: rows of table `metrics`, of the making run, as far as they are of this model, and of
            evaluations, the last of each; `runs` is in how many there is one, `state` how its run ended.
        measured_with: the params of the runs that evaluated it, and of those that these are children of.
    """

    model: Row
    run_id: str
    trail: dict[str, Any]
    runs: dict[str, list[Said]]
    index: dict[tuple[str | None, ...], Said]
    datasets: dict[str, list[Row]]
    params: list[Row]
    figures: list[Row]
    measured_with: dict[str, list[Row]]

    @property
    def label(self) -> str:
        """`churn@3`."""
        return label(self.model)

    def find(self, key: str, run_id: str | None = None) -> Said | None:
        """The facet of this key of the making run, or of another one."""
        return self.index.get((run_id or self.run_id, key))

    def measured_by(self, run_id: str) -> "Story":
        """The same, told of a run that measured it and not of the one that made it."""
        if run_id == self.run_id:
            return self
        return msgspec.structs.replace(self, run_id=run_id, params=self.measured_with.get(run_id, []))

    def facets(self, run_id: str) -> list[Facet]:
        """The facets of a run, as `tables.differences` takes them."""
        return [
            Facet(said.scope, said.namespace, said.name, said.key, said.value, said.part)
            for said in self.runs.get(run_id, ())
        ]

    def of_dataset(self, run_id: str, dataset: Row, key: str) -> Said | None:
        """The facet of this key that a run's input or output has."""
        of = (run_id, dataset["namespace"], dataset["name"], key)
        return self.index.get((*of, dataset["version"])) or self.index.get((*of, ""))


def label(model: Row) -> str:
    """A version as people write it."""
    name = model["registered_name"] or model["name"].rpartition("/")[2] or model["name"]
    return f"{name}@{model['version']}"


def read(db: Database, first: str, second: str | None, against: str) -> tuple[Story, Story, Row]:
    """(the older version, the newer, how the older one was chosen).

    Raises:
        NotFound: There is no such version, or none to compare with.
        ConfigError: Both are the same.
    """
    if second is None:
        after = names.model(db, first)
        before, chosen = _before(db, after, against)
    else:
        before, after = names.models(db, first, second)
        chosen = {"how": "given", "reason": "both versions were given"}
    if _identity(before) == _identity(after):
        raise ConfigError(f"{label(after)} is compared with itself: name two versions")
    return *stories(db, before, after), chosen


def version(db: Database, namespace: str, name: str, version: str) -> Row:
    """The row of table `models` of a version. Raises NotFound."""
    rows = db.read(
        "models",
        "* EXCLUDE (bucket)",
        models=[(namespace, name)],
        where="namespace = $namespace AND version = $version",
        namespace=namespace,
        version=version,
    )
    if not rows:
        raise NotFound(f"{name} has no version {version!r}")
    return rows[0]


def _identity(model: Row) -> tuple[str, ...]:
    return model["namespace"], model["name"], model["version"]


def _before(db: Database, after: Row, against: str) -> tuple[Row, Row]:
    if against == "production":
        return _in_production(db, after)
    chosen = {"how": "previous", "reason": f"the version made before {label(after)}"}
    if (written := names.written_last(db, after, before=True)) is not None:
        return written, chosen
    earlier = db.read(
        "models",
        "* EXCLUDE (bucket)",
        models=[(after["namespace"], after["name"])],
        where="namespace = $namespace AND created_at <= CAST($created AS TIMESTAMPTZ)",
        then="ORDER BY created_at, version",
        created=after["created_at"],
        namespace=after["namespace"],
    )
    for before, version in preceded(earlier):
        if _identity(version) == _identity(after):
            return before, chosen
    raise NotFound(f"{label(after)} is the first of its name: name the version to compare it with")


def _in_production(db: Database, after: Row) -> tuple[Row, Row]:
    """The version that was deployed last, and how it was chosen.

    Of several of the same bytes: the one that the deployment names, else the last made before it.
    """
    db.attach("deployments", held=True)
    db.attach("models", models=[(after["namespace"], after["name"])])
    there = "coalesce(environment, 'production') = 'production' AND effective_at <= $created::TIMESTAMPTZ"
    columns = (
        "endpoint",
        "uri",
        "model_namespace",
        "model_name",
        "model_version",
        "model_digest",
        "effective_at",
    )
    serving = in_force(deployed(db, there, created=after["created_at"]))
    db.fill("serving", columns, [tuple(row[name] for name in columns) for row in serving])
    rows = db.rows(
        """SELECT m.* EXCLUDE (bucket), d.uri AS served_at, d.endpoint, d.effective_at
        FROM serving AS d
        JOIN near_models AS m ON CASE WHEN m.digest IS NOT NULL AND d.model_digest IS NOT NULL
            THEN m.digest = d.model_digest
            ELSE m.version = d.model_version AND d.model_name IN (m.name, m.registered_name)
                AND coalesce(d.model_namespace, m.namespace) = m.namespace END
        WHERE (m.namespace, m.name) = ($namespace, $name) AND m.version <> $version
        ORDER BY d.effective_at::TIMESTAMPTZ DESC, coalesce(m.version = d.model_version, false) DESC,
            m.created_at <= d.effective_at::TIMESTAMPTZ DESC, m.created_at DESC, m.version DESC LIMIT 1""",
        **{name: after[name] for name in ("namespace", "name", "version")},
    )
    if not rows:
        raise NotFound(
            f"No version of {label(after).partition('@')[0]} is known to have been in production when "
            f"{label(after)} was made: name the version to compare it with"
        )
    row = rows[0]
    where = row.pop("served_at") or row["endpoint"] or "an endpoint"
    del row["endpoint"]
    since = row.pop("effective_at")[:19].replace("T", " ")
    reason = f"in production at {where} since {since} when {label(after)} was made"
    return row, {"how": "production", "reason": reason}


def stories(db: Database, before: Row, after: Row) -> tuple[Story, Story]:
    """Both versions (rows of `models`) with what their runs said."""
    models = [registry.with_content(db, model) for model in (before, after)]
    makers = [model["run_id"] for model in models]
    places = Places(db)
    trees = trails(db, models, places, possible=True)
    figures = _figures(db, models, judging(db, models))
    judges = _judges(db, {row["run_id"] for rows in figures for row in rows})
    wanted = {*makers, *judges}
    wanted |= {row["registered_run_id"] for row in models if row["registered_run_id"]}
    behind = [node["run"] for tree in trees for node in nodes(tree) if node["run"]]
    wanted |= {run["run_id"] for run in behind}
    known = runs_of(db, wanted)
    for run in behind:
        run.update(known[run["run_id"]])
    for figure in itertools.chain.from_iterable(figures):
        figure["state"] = known[figure["run_id"]]["state"] if figure["run_id"] in known else None
    runs, datasets, params = _said(db, wanted), _datasets(places, wanted), _params(db, {*makers, *judges})
    index: dict[tuple[str | None, ...], Said] = {}
    registered = registry.registering(db, makers)
    old, new = (
        _of_model(
            Story(model, run_id, tree, runs, index, datasets, params[run_id], rows, params),
            made_elsewhere=run_id in registered,
        )
        for model, run_id, tree, rows in zip(models, makers, trees, figures, strict=True)
    )
    return old, new


def _of_model(story: Story, *, made_elsewhere: bool) -> Story:
    """The same, where its making run tells several models apart without what is of the others.

    Of one that it only registered nothing is told of how that run did so.
    """
    runs = dict(story.runs)
    params, figures = story.params, story.figures
    facets = story.facets(story.run_id)
    of_run = [row["model_id"] for row in figures if row["source"] != "evaluation"]
    judged_by = own_figures(facets, story.model, of_run)
    figures = [row for row in figures if row["source"] == "evaluation" or row["model_id"] in judged_by]
    if made_elsewhere:
        runs[story.run_id] = [said for said in runs[story.run_id] if said.key not in OF_MAKING]
        params, figures = [], [row for row in figures if row["source"] == "evaluation"]
    elif (mine := own(facets, story.model)) is not None:
        runs[story.run_id] = [
            msgspec.structs.replace(said, value=mine.part(said.key, said.value))
            for said in runs[story.run_id]
            if mine.read(said.scope, said.namespace, said.name)
        ]
        params = mine.params(params)
    index: dict[tuple[str | None, ...], Said] = {}
    for run_id, several in runs.items():
        for said in several:
            index.setdefault((run_id, said.key), said)
            index.setdefault((run_id, said.namespace, said.name, said.key, said.part), said)
    return msgspec.structs.replace(story, runs=runs, index=index, params=params, figures=figures)


def nodes(trail: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a trail, the root first, nearer ones before farther ones."""
    level = [trail]
    while level:
        yield from level
        level = [child for node in level for child in node["inputs"]]


def _said(db: Database, runs: set[str]) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = defaultdict(list)
    keys = ", ".join(f"'{key}'" for key in _KEYS)
    for row in db.read(
        "facets",
        'run_id, scope, namespace, name, "key", "value", part, topic, topic_id, "partition", "offset"',
        runs=runs,
        where=f"key IN ({keys}) AND value IS NOT NULL",
        then='ORDER BY run_id, happened_at DESC, "offset" DESC, scope, namespace, name, key',
    ):
        value = json.loads(row["value"])
        if isinstance(value, dict):
            place = {name: row[name] for name in ("topic", "topic_id", "partition", "offset")}
            said = Said(row["scope"], row["namespace"], row["name"], row["key"], value, place, row["part"])
            found[row["run_id"]].append(said)
    return found


def _datasets(places: Places, runs: set[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    columns = ("role", "namespace", "name")
    for row in sorted(places.of(runs), key=lambda row: [row[column] for column in columns]):
        found[row["run_id"]].append(row)
    return found


def _judges(db: Database, runs: set[str]) -> set[str]:
    """Runs that measured figures, and those that they are children of: these may say with which code."""
    rows = db.read("runs", "parent_run_id", runs=runs, where="parent_run_id IS NOT NULL")
    return runs | {row["parent_run_id"] for row in rows}


def _params(db: Database, run_ids: set[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {run_id: [] for run_id in run_ids}
    columns = "run_id, name, value, type, origin, component, capture, model_id"
    for row in db.read("params", columns, runs=run_ids, then="ORDER BY component NULLS FIRST, name"):
        found[row["run_id"]].append(row)
    return found


def _figures(db: Database, models: list[Row], judges: list[list[str]]) -> list[list[Row]]:
    """Of each version the last figure by name, split, dataset and slice, of its run and of evaluations.

    Of what its run said of this model that by the step after which it was saved, and nothing later.
    """
    makers = [model["run_id"] for model in models]
    rows = db.read(
        "metrics",
        """run_id, name, value, step, dataset, slice, split, source, model_id, happened_at,
            model_digest, model_namespace, model_name, model_version""",
        runs={*makers, *itertools.chain.from_iterable(judges)},
        where="""source = 'evaluation' OR list_contains($makers, run_id) AND (source = 'summary'
            OR source = 'series' AND model_id IS NOT NULL AND (step <= $first OR step <= $second))""",
        then="""QUALIFY source = 'evaluation' OR row_number() OVER (
                PARTITION BY source, run_id, name, dataset, slice, split, model_id,
                    step <= $first, step <= $second
                ORDER BY happened_at DESC, step DESC) = 1
            ORDER BY happened_at DESC, step DESC, run_id DESC""",
        makers=makers,
        first=models[0]["step"],
        second=models[-1]["step"],
    )
    told = [row if row["source"] != "series" else row | {"source": "summary"} for row in rows]
    return [
        _last([row for row in told if row["run_id"] in {model["run_id"], *runs} and _is_of(row, model)])
        for model, runs in zip(models, judges, strict=True)
    ]


def _is_of(figure: Row, model: Row) -> bool:
    if figure["source"] == "summary":
        told_of = None in (figure["model_id"], figure["step"], model["step"])
        is_by_then = told_of or figure["step"] <= model["step"]
        return bool(figure["run_id"] == model["run_id"] and is_by_then)
    if figure["model_digest"] is not None and model["digest"] is not None:
        return bool(figure["model_digest"] == model["digest"])
    return all(figure[f"model_{column}"] == model[column] for column in ("namespace", "name", "version"))


def _last(newest_first: list[Row]) -> list[Row]:
    told: dict[tuple[str | None, ...], Row] = {}
    runs: dict[tuple[str | None, ...], set[str]] = defaultdict(set)
    for row in newest_first:
        figure = tuple(row[column] for column in _FIGURE)
        runs[figure].add(row["run_id"])
        told.setdefault((*figure, row["model_id"] if row["source"] == "summary" else None), row)
    last = sorted(told.items(), key=lambda one: [(part is None, part or "") for part in one[0]])
    return [row | {"runs": len(runs[key[:-1]])} for key, row in last]
