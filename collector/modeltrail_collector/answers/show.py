"""What exactly produced a model version: each fact, how it was learned, and the event that said it.

What is no model is a dataset, a job or a run: `described` tells of these.
"""

import functools
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from modeltrail_collector.answers import carried, described, names, registry, sources
from modeltrail_collector.answers.database import Database, Row, opened
from modeltrail_collector.answers.lists import changed
from modeltrail_collector.answers.places import key_of, models_of, own_models, symlinks_of
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Log
from modeltrail_collector.tables.differences import Facet, as_list
from modeltrail_collector.tables.own import are_several, figures, is_of, own

SECTIONS: Final = (
    "model", "run", "data", "transformations", "params", "code", "environment",
    "metrics", "evaluations", "artifact", "registration", "deployments", "changes",
)  # fmt: skip
"""The sections of the answer, in the order in which they are told."""
_OF_JOB: Final = {"location": "sourceCodeLocation", "query": "sql"}
OF_RUN: Final = "of the run; it made {} models"
"""What is said of a metric that is of none of the models."""


def is_of_another(metric: Row) -> bool:
    """Whether a row of the section `metrics` is of another model that the run fitted, or may be."""
    return not metric["own"] and metric["model_id"] is not None


def show(of: Log | Database, text: str) -> dict[str, Any]:
    """The facts about `MODEL[@VERSION]`, one entry per name of `SECTIONS`; else about a dataset, job or run.

    `model` and `run` are rows of those tables; `code`, `environment`, `artifact` and `registration` one fact;
    the others lists of facts. What nobody said is None. A fact says how it was learned in `capture`
    (observed, declared, inferred; None where its producer does not say) and names the log record it comes
    from in `source`. `run` has `models`, how many it made, and `told_apart`, whether what is told of data,
    transformations, parameters and `training` is without what is of the other models; its `training`, and in
    `others` the other runs that trained to the same bytes. Of `metrics` those that are `own` are figures of
    this model: of `model_id`, or of the run as a whole, where it made no other model; else these say in
    `models` how many it made. `own` is None where the run does not say which of those that it fitted this is;
    `is_part` says that it is of a part of this one. The `use` of an evaluation is that of its data.
    `registration` has `other_bytes`, the versions that were registered under the same one and are other
    bytes; `history`, what was done to it in the registry; and `deleted`, what of that says that it is gone,
    with, in `until_deleted`, the aliases that it then had. Of a run that `only_registered` it data, code and
    the like are not told: they are that run's own.
    What is told of the others: `described.find`.

    Raises NotFound for what is not in the log.
    """
    with opened(of) as db:
        for in_full in (True, False):
            if model := names.find_model(db, text, in_full=in_full):
                return told(db, model, SECTIONS)
            if found := described.find(db, text, in_full=in_full):
                return found
        raise NotFound(names.unknown_model(db, text) if "@" in text else described.unknown(db, text))


def told(db: Database, model: Row, sections: Iterable[str]) -> dict[str, Any]:
    """These sections of the answer about a row of `models`."""
    facts = _Facts(db, model)
    return {
        name: None if name in _OF_MAKER and facts.only_registered else _READERS[name](facts) or None
        for name in sections
    }


_Found = tuple[Row, dict[str, Any]]
_OF_MAKER: Final = frozenset({"data", "transformations", "params", "code", "environment", "metrics"})
"""What says how a model was made: it is not told of a run that only registered it."""
_SOURCE: Final = ("topic", "topic_id", "partition", "offset")
_OF_DATA: Final = ("namespace", "name", "use", "version", "fingerprint", "rows", "capture")


class _Facts:
    """The facets of the run that made a version, and of the run that registered it."""

    def __init__(self, db: Database, model: Row) -> None:
        self.db = db
        self.model = model
        self.rows = db.read(
            "facets",
            'run_id, scope, namespace, name, "key", "value", part, topic, topic_id, "partition", "offset"',
            runs=[run for run in (model["run_id"], model["registered_run_id"]) if run is not None],
            where="value IS NOT NULL",
            then='ORDER BY run_id = $made DESC, happened_at, "offset"',
            made=model["run_id"],
        )
        for row in self.rows:
            row["value"] = json.loads(row["value"])
        self.said = [
            Facet(*(row[name] for name in ("scope", "namespace", "name", "key", "value", "part")))
            for row in self.rows
            if row["run_id"] == model["run_id"]
        ]
        self.own = own(self.said, model)

    @functools.cached_property
    def only_registered(self) -> bool:
        """Whether which run made it is not recorded: the one that put it out only registered it."""
        return not self.find("modelTrail_training", scope="run") and bool(
            registry.registering(self.db, [self.model["run_id"]])
        )

    @functools.cached_property
    def placed(self) -> list[Row]:
        """What the making run read and put out, what it trained on first."""
        order = "coalesce(list_position(['train', 'validation', 'test'], use), 9), use IS NULL, name"
        columns = f"run_id, role, kind, identities, model_id, {', '.join(_OF_DATA)}"
        return self.of_maker("run_datasets", columns, then=f"ORDER BY {order}")

    def of_maker(self, table: str, columns: str, where: str = "true", then: str = "") -> list[Row]:
        """Columns of the rows of a table of the making run, as `Database.read` has them."""
        return self.db.read(table, columns, runs=[self.model["run_id"]], where=where, then=then)

    def find(self, key: str, *, scope: str | None = None, made: bool = True) -> list[_Found]:
        """Facets of this key that are objects, of the making run (or of both runs), with where they lie."""
        found = []
        for row in self.rows:
            is_maker = row["run_id"] == self.model["run_id"]
            fits = row["key"] == key and scope in (None, row["scope"])
            if fits and (is_maker or not made) and isinstance(row["value"], dict):
                mine = self.own if is_maker else None
                found.append((row, row["value"] if mine is None else mine.part(key, row["value"])))
        return found


def _model(facts: _Facts) -> Row:
    """The row of `models`, with the classes of the fitted models that a file holds that is none itself."""
    identity = (facts.model["namespace"], facts.model["name"])
    found = [each for each in facts.find("modelTrail_model") if is_of(each[0]["part"], facts.model)]
    said = [value for row, value in found if (row["namespace"], row["name"]) == identity]
    return facts.model | {"holds": as_list(said[0].get("holds")) if said else []}


def _made(facts: _Facts) -> int | None:
    """How many models the making run made."""
    return models_of(facts.placed).get(facts.model["run_id"])


def _fact(row: Row, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A facet's own fields, how it was learned, and its source."""
    said = {key: item for key, item in value.items() if not key.startswith("_")}
    source = {name: row[name] for name in _SOURCE}
    return more | said | {"capture": value.get("capture"), "source": source}


def _run(facts: _Facts) -> Row | None:
    rows = facts.of_maker("runs", "* EXCLUDE (bucket)")
    if not rows:
        return None
    training = facts.find("modelTrail_training", scope="run")
    return rows[0] | {
        "models": _made(facts),
        "told_apart": facts.own is not None,
        "only_registered": facts.only_registered,
        "training": _fact(*training[0]) if training else None,
        "others": _others(facts),
    }


def _others(facts: _Facts) -> list[Row]:
    """The other runs that trained and wrote the same bytes: a training done again, mostly."""
    said = facts.db.read(
        "mentions",
        "DISTINCT run_id",
        keys=[facts.model["digest"] or ""],
        where="how = 'digest' AND role = 'output' AND kind = 'model' AND run_id <> $made",
        made=facts.model["run_id"],
    )
    trained = facts.db.read(
        "facets",
        "run_id",
        runs=[row["run_id"] for row in said],
        where="key IN ('modelTrail_training', 'modelTrail_modelArtifact') AND value IS NOT NULL",
        then="""GROUP BY run_id HAVING bool_or(key = 'modelTrail_training') AND bool_or(
            value ->> '$.digest' = $digest AND coalesce(value ->> '$.written', '') <> 'false')""",
        digest=facts.model["digest"],
    )
    return facts.db.read(
        "runs",
        "run_id, job_namespace, job_name, state, started_at, ended_at, last_event_at",
        runs=[row["run_id"] for row in trained],
        then="ORDER BY coalesce(started_at, last_event_at), run_id",
    )


def _data(facts: _Facts) -> list[Row]:
    """The inputs of the making run, but for what it made itself."""
    made = own_models(facts.placed)
    rows = [
        {name: row[name] for name in _OF_DATA} | {"symlinks": symlinks_of(row)}
        for row in facts.placed
        if row["role"] == "input"
        and key_of(row) not in made
        and (facts.own is None or facts.own.read("input", row["namespace"], row["name"]))
    ]
    schemas = _by_dataset(facts.find("schema", scope="input"))
    uses = _by_dataset(facts.find("modelTrail_dataUse", scope="input_facet"))
    inputs = [row for row in facts.rows if row["scope"].startswith("input")]
    anything = _by_dataset([*((row | {"part": ""}, {}) for row in inputs), *((row, {}) for row in inputs)])
    answer = []
    for row in rows:
        identity = (row["namespace"], row["name"], row["version"])
        identity = identity if identity in anything else (*identity[:2], "")
        columns = as_list(schemas.get(identity, (None, {}))[1].get("fields"))
        row["columns"] = [
            {"name": c.get("name"), "type": c.get("type")} for c in columns if isinstance(c, dict)
        ]
        use = uses.get(identity, (None, {}))[1]
        row |= {"split": use.get("split"), "labels": carried.labels(use)}
        said = uses.get(identity) or schemas.get(identity) or anything.get(identity)
        answer.append(_fact(said[0], row) if said else row | {"source": None})
    return answer


def _by_dataset(found: list[_Found]) -> dict[tuple[str, str, str], _Found]:
    return {(row["namespace"], row["name"], row["part"]): (row, value) for row, value in found}


def _transformations(facts: _Facts) -> list[Row]:
    return [
        _fact(row, {"capture": value.get("capture"), **step})
        for row, value in facts.find("modelTrail_featureTransformations")
        for step in as_list(value.get("steps"))
        if isinstance(step, dict)
    ]


def _params(facts: _Facts) -> list[Row]:
    columns = "name, value, type, origin, component, capture, model_id"
    found = facts.of_maker("params", columns, then="ORDER BY component NULLS FIRST, name, model_id")
    rows = found if facts.own is None else facts.own.params(found)
    said = facts.find("modelTrail_hyperparameters") or facts.find("executionParameters")
    return [_fact(said[0][0], row) for row in rows] if said else rows


def _code(facts: _Facts) -> Row | None:
    parts = {name: facts.find(key, scope="job") for name, key in _OF_JOB.items()}
    state = facts.find("modelTrail_codeState")
    said = state or parts["location"] or parts["query"]
    code = _fact(said[0][0], said[0][1] if state else {}) if said else {}
    return code | {name: _fact(*found[0]) for name, found in parts.items() if found} or None


def _environment(facts: _Facts) -> Row | None:
    found = facts.find("modelTrail_environment") or facts.find("processing_engine")
    return _fact(*found[0]) if found else None


def _metrics(facts: _Facts) -> list[Row]:
    """The last figure of each name, model, split, dataset and slice that the making run itself reported.

    First those that are of this model or of the run; of the model by the step after which it was saved.
    """
    rows = facts.db.read(
        "metrics",
        "name, value, step, split, dataset, slice, model_id",
        runs=[facts.model["run_id"]],
        where="""source <> 'evaluation'
            AND (step > $by AND coalesce(model_id = $own, model_id IS NOT NULL)) IS NOT TRUE""",
        then="""QUALIFY row_number() OVER (
            PARTITION BY name, split, dataset, slice, model_id ORDER BY source DESC, step DESC) = 1
        ORDER BY name, split, dataset, slice, model_id""",
        by=facts.model["step"],
        own=facts.own and facts.own.model_id,
    )
    mine = figures(facts.said, facts.model, (row["model_id"] for row in rows))
    made = _made(facts) if rows else None
    models = made if (made or 1) > 1 or are_several(facts.said) else None
    for row in rows:
        is_unknown = row["model_id"] is not None and facts.own is None
        row["own"] = row["model_id"] in mine or (None if is_unknown else False)
        row["is_part"] = facts.own is not None and row["model_id"] in facts.own.parts
        row["models"] = None if row["model_id"] else models
    rows.sort(key=is_of_another)
    said = facts.find("modelTrail_metrics") or facts.find("modelTrail_metricSeries")
    return (
        [_fact(said[0][0], {"capture": said[0][1].get("capture"), **row}) for row in rows] if said else rows
    )


def _evaluations(facts: _Facts) -> list[Row]:
    """Figures from evaluations of this version in any run; the digest decides where both sides know it."""
    (runs,) = sources.judging(facts.db, [facts.model])
    rows = facts.db.read(
        "metrics",
        "run_id, name, value, dataset, slice, happened_at, model_namespace, model_name, model_version",
        runs=runs,
        where="""source = 'evaluation' AND CASE WHEN model_digest IS NOT NULL AND $digest IS NOT NULL
            THEN model_digest = $digest
            ELSE (model_namespace, model_name, model_version) = ($namespace, $name, $version) END""",
        then="ORDER BY happened_at, run_id, dataset, slice, name",
        **{column: facts.model[column] for column in ("digest", "namespace", "version")},
        name=facts.model["name"],
    )
    said = {
        (row["run_id"], row["namespace"], row["name"], row["version"]): row
        for row in facts.db.read(
            "facets",
            """run_id, namespace, name, "value", "value" ->> '$.modelVersion' AS version,
                topic, topic_id, "partition", "offset" """,
            runs=runs,
            where="key = 'modelTrail_evaluation'",
        )
    }
    judged_on = {
        (row["run_id"], row["name"]): row
        for row in facts.db.read("run_datasets", "run_id, name, rows, use", runs=runs, where="role = 'input'")
    }
    judges = sources.runs_of(facts.db, {row["run_id"] for row in rows}) if rows else {}
    told = ("run_id", "name", "value", "dataset", "slice", "happened_at")
    answer = []
    for row in rows:
        facet = said.get((row["run_id"], *(row[f"model_{of}"] for of in ("namespace", "name", "version"))))
        capture = json.loads(facet["value"]).get("capture") if facet and facet["value"] else None
        source = {name: facet[name] if facet else None for name in _SOURCE}
        data = judged_on.get((row["run_id"], row["dataset"]), {"rows": None, "use": None})
        judge = judges.get(row["run_id"])
        answer.append(
            {name: row[name] for name in told}
            | {"use": data["use"], "rows": data["rows"], "state": judge and judge["state"]}
            | {"capture": capture, "source": source}
        )
    return answer


def _artifact(facts: _Facts) -> Row | None:
    name = facts.model["namespace"], facts.model["name"]
    several = facts.find("modelTrail_modelArtifact", made=False)
    for row, value in sorted(several, key=lambda each: (each[0]["namespace"], each[0]["name"]) != name):
        digest = str(value.get("digest", "")).rpartition(":")[2]
        if digest == facts.model["digest"] or facts.model["digest"] is None:
            return _fact(row, value, namespace=row["namespace"], name=row["name"])
    return None


def _registration(facts: _Facts) -> Row | None:
    for row, value in facts.find("modelTrail_registration", made=False):
        version, digest = str(value.get("version")), facts.model["digest"] or ""
        said = facts.model["version"] in {version, f"{version}+{digest[:12]}"}
        if said and (row["namespace"], row["name"]) == (facts.model["namespace"], facts.model["name"]):
            (history,) = registry.histories(facts.db, [facts.model])
            told = _fact(row, value, other_bytes=registry.other_bytes(facts.db, facts.model, version))
            told |= {"history": history, "deleted": registry.deletion(history)}
            if told["deleted"]:
                told["until_deleted"] = registry.until_deleted(facts.db, facts.model)
            # Since then, by itself or by runs of their own.
            aliases = [] if facts.model["aliases"] is None and "aliases" in told else facts.model["aliases"]
            return told | {"aliases": aliases, "stage": registry.stage(history)}
    return None


def _deployments(facts: _Facts) -> list[Row]:
    # Several versions may have the same bytes: where one of this name is named, that one is meant.
    named = "(model_name IN ($name, $registered) AND coalesce(model_namespace, $namespace) = $namespace)"
    where = f"""CASE
        WHEN {named} AND NOT coalesce(starts_with($digest, model_version), true)
            THEN model_version = $version AND coalesce(model_digest = $digest, true)
        WHEN model_digest IS NOT NULL AND $digest IS NOT NULL THEN model_digest = $digest
        ELSE model_version = $version AND {named} END"""
    of = {name: facts.model[name] for name in ("digest", "namespace", "name", "version")}
    of["registered"] = facts.model["registered_name"]
    facts.db.attach("deployments", held=True)
    found = facts.db.rows(f"SELECT run_id FROM deployments WHERE {where}", **of)  # noqa: S608
    if not found:
        return []
    facts.db.attach("facets", runs=[row["run_id"] for row in found])
    return facts.db.rows(
        f"""SELECT d.* EXCLUDE (bucket), struct_pack(topic := f.topic, topic_id := f.topic_id,
            "partition" := f."partition", "offset" := f."offset") AS source,
            f."value" ->> '$.capture' AS capture
        FROM deployments AS d
        JOIN near_facets AS f ON f.run_id = d.run_id AND f."key" = 'modelTrail_deployment'
        WHERE {where}
        ORDER BY effective_at""",  # noqa: S608
        **of,
    )


_READERS: Final[dict[str, Callable[[_Facts], Any]]] = {
    "model": _model,
    "run": _run,
    "data": _data,
    "transformations": _transformations,
    "params": _params,
    "code": _code,
    "environment": _environment,
    "metrics": _metrics,
    "evaluations": _evaluations,
    "artifact": _artifact,
    "registration": _registration,
    "deployments": _deployments,
    "changes": lambda facts: changed(facts.db, facts.model),
}
