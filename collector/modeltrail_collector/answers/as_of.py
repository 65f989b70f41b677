"""Which model version answered where at a moment, what made it, and from what data."""

from typing import Final

from modeltrail_collector.answers import names
from modeltrail_collector.answers.database import Database, Row, database
from modeltrail_collector.answers.endpoints import called, deployed, in_force
from modeltrail_collector.answers.places import edges, key_of, own_models, placed
from modeltrail_collector.answers.registry import registering
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Log

_CALLED: Final = ("name", "registered_name")
_OF_INPUT: Final = ("namespace", "name", "use", "version", "fingerprint", "rows", "capture")
_USES: Final = ("train", "validation", "test")
_MANY: Final = 500
"""The makers of more versions are looked for among all, which are read as a whole."""


def as_of(of: Log | Database, name: str | None = None) -> list[Row]:
    """The model versions in force at the handle's moment, a row per place and version.

    With a `name` those at the endpoints that are called so (by name or URI), and where a version of the model
    that is called so is in force, or `NAME@VERSION` is.

    `platform`, `endpoint`, `uri` and `environment` say where; `model_namespace`, `model_name`,
    `model_version` and `model_digest` which; `since` and `deployment` (a run id) by what, `actor` by whom;
    `traffic_percent` is what was said of it last, None where others came or went since. `run` is the run that
    made the version, with `data`, what it was made from or may have been; None where that is not recorded.
    What failed to be deployed is not in force.

    Raises NotFound when there is neither an endpoint nor a model of this name, or more than one model.
    """
    with database(of, "deployments", held=True) as db:
        found = [_row(one) for one in (in_force(deployed(db)) if name is None else _called(db, name))]
        _find_makers(db, found)
        return found


def _called(db: Database, text: str) -> list[Row]:
    """What is in force at the endpoints, and of the model, that are called so."""
    there = called(db, text)
    model = names.find_model(db, text, in_full=True)
    if model is None and not there:
        model = names.find_model(db, text, in_full=False)
    models = [model[of] for of in _CALLED] if model else [text]  # the log may not know it
    places = "{'platform': platform, 'endpoint': endpoint, 'environment': environment}"
    had_it = f"SELECT {places} FROM deployments WHERE list_contains($models, model_name)"  # noqa: S608  ours
    said = deployed(db, f"{places} IN ({had_it})", models=models)
    if not (there or said or model):
        raise NotFound(names.unknown_served(db, text))
    found = [row for row in in_force(said) if row["model_name"] in models and _is_meant(row, model, text)]
    at_endpoint = in_force(there)
    return [*at_endpoint, *(row for row in found if row not in at_endpoint)]


def _is_meant(said: Row, model: Row | None, text: str) -> bool:
    """Whether a deployment is of this model of its name, and of the version that a text names, if it does."""
    if model is None:
        return True
    if said["model_namespace"] not in {None, model["namespace"]}:
        return False
    if "@" not in text or any((model[of] or "").endswith(text) for of in _CALLED):
        return True
    if said["model_digest"] is not None and model["digest"] is not None:
        return bool(said["model_digest"] == model["digest"])
    return bool(said["model_version"] == model["version"])


def _row(said: Row) -> Row:
    where = ("environment", "endpoint", "platform", "uri")
    which = ("model_namespace", "model_name", "model_version", "model_digest", "traffic_percent", "actor")
    row = {name: said[name] for name in (*where, *which)}
    return row | {"since": said["effective_at"], "deployment": said["run_id"], "run": None}


def _find_makers(db: Database, found: list[Row]) -> None:
    """Tell each the run that made its version, and what that run read."""
    if not found:
        return
    versions = _versions(db, found)
    columns = ("number", "namespace", "name", "version", "digest")
    db.fill("sought", columns, (
        (str(number), *(row[f"model_{column}"] for column in columns[1:])) for number, row in enumerate(found)
    ))  # fmt: skip
    # By equality, a way at a time: of thousands of places and versions each pair would have to be looked at.
    makers = db.rows(f"""
        WITH model AS (
            SELECT namespace, name, registered_name, version, digest, run_id,
                (registered_name IS NULL, created_at) AS rank
            FROM {versions}
        ),
        named AS (
            SELECT number, s.namespace AS said, s.digest AS deployed, m.*
            FROM sought AS s JOIN model AS m ON (s.name, s.version) = (m.name, m.version)
            UNION ALL
            SELECT number, s.namespace, s.digest, m.*
            FROM sought AS s JOIN model AS m ON (s.name, s.version) = (m.registered_name, m.version)
        ),
        found AS (
            SELECT number, run_id, rank FROM named
            WHERE (deployed IS NULL OR digest IS NULL) AND coalesce(said, namespace) = namespace
            UNION ALL
            SELECT number, m.run_id, rank FROM sought AS s JOIN model AS m USING (digest)
        )
        SELECT number::INTEGER AS number, arg_min(run_id, rank) AS run_id FROM found GROUP BY number""")  # noqa: S608  a view of ours
    ids = {row["run_id"] for row in makers}
    ids -= registering(db, ids)
    runs = {row["run_id"]: row for row in db.read("runs", "* EXCLUDE (bucket)", runs=ids)}
    data = _inputs(db, ids)
    for maker in makers:
        if run := runs.get(maker["run_id"]):
            found[maker["number"]]["run"] = run | {"data": data.get(maker["run_id"], [])}


def _versions(db: Database, found: list[Row]) -> str:
    """The view that holds the model versions that these may be."""
    keys = {row[column] for row in found for column in ("model_name", "model_digest")} - {None}
    if len(keys) > _MANY:
        names.keep_versions(db)
        return "versions"
    where = "how IN ('digest', 'name', 'registered') AND kind = 'model'"
    known = db.read("mentions", "DISTINCT namespace, name", keys=keys, where=where)
    db.attach("models", models=[(row["namespace"], row["name"]) for row in known])
    return "near_models"


def _inputs(db: Database, runs: set[str]) -> dict[str, list[Row]]:
    """What each run may have made its model from, what was trained on first.

    Not models that it put out itself (and evaluated), nor others that it only read: a champion to beat.
    """
    rows = placed(db, runs)
    made, sources = own_models(rows), {source for source, _ in edges(rows)}
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=_order):
        is_other = row["kind"] == "model" and key_of(row) not in sources and row["followed"] is not False
        if row["role"] == "input" and key_of(row) not in made and not is_other:
            found.setdefault(row["run_id"], []).append({name: row[name] for name in _OF_INPUT})
    return found


def _order(row: Row) -> tuple[bool, bool, int, str]:
    use = row["use"]
    return use not in _USES, use is None, _USES.index(use) if use in _USES else 0, row["name"]
