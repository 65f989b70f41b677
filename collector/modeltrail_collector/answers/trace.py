"""The path back from a model, a dataset or an endpoint, run by run, to what no run wrote."""

from typing import Any, Final

import msgspec

from modeltrail_collector.answers import names
from modeltrail_collector.answers.database import Database, Row, opened
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Log

_DEPTH: Final = 100

_RUN: Final = """runs.run_id, job_namespace, job_name, state, started_at, ended_at,
    coalesce(ended_at, last_event_at) AS wrote_at"""


class _Node(msgspec.Struct):
    """A dataset as one run read it, or as it was asked for: `before` is when, `run` what wrote it."""

    namespace: str
    name: str
    kind: str = "dataset"
    version: str | None = None
    fingerprint: str | None = None
    use: str | None = None
    rows: int | None = None
    before: str | None = None
    run: Row | None = None
    repeated: bool = False
    inputs: "list[_Node]" = []


def trace(of: Log | Database, text: str) -> dict[str, Any]:
    """The tree of what `text` came from: `MODEL[@VERSION]`, a dataset or an endpoint.

    A node is an object: namespace, name, kind, version, fingerprint, use, rows, `run` (run_id, job, state,
    times; None for what no run in the log wrote) and `inputs`, the nodes that this run made it from. A node
    told elsewhere in the tree is `repeated` and its inputs are left out. At most 100 runs deep. A run has
    `steps`, the names of its transformations, in order.

    Which run wrote what another read: the one whose output has the fingerprint that was read; else the same
    version; else, where one of them is unknown, the last that wrote it before.

    Raises NotFound when nothing or more than one thing is called so.
    """
    with opened(of) as db:
        return _followed(db, _root(db, text))


def trail(db: Database, model: Row, run_id: str) -> dict[str, Any]:
    """The tree of a model version (row of `models`) from this run on, one of those that made these bytes."""
    return _followed(db, _made(db, model, run_id))


def _followed(db: Database, root: _Node) -> dict[str, Any]:
    told: set[tuple[str, ...]] = set()
    level = [root]
    for _ in range(_DEPTH):
        if not level:
            break
        _find_runs(db, [node for node in level if node.run is None])
        fresh = [node for node in level if node.run is not None and not _is_told(node, told)]
        _find_steps(db, fresh)
        level = _find_inputs(db, fresh)
    return _plain(root)


def _root(db: Database, text: str) -> _Node:
    try:
        model = names.model(db, text)
    except NotFound as unknown:
        try:
            found = names.dataset(db, text)
        except NotFound as error:
            raise (unknown if "@" in text else error) from None
        return _Node(found["namespace"], found["name"], kind=_kind(db, found))
    return _made(db, model, model["run_id"])


def _made(db: Database, model: Row, run_id: str) -> _Node:
    node = _Node(model["namespace"], model["name"], "model", model["version"], model["digest"])
    node.run = _runs(db, {run_id}).get(run_id)
    return node


def _runs(db: Database, ids: set[str]) -> dict[str, Row]:
    db.attach("runs", runs=ids, held=True)
    db.fill("told", ("run_id",), {(run_id,) for run_id in ids})
    rows = db.rows(f"SELECT {_RUN} FROM near_runs AS runs SEMI JOIN told USING (run_id)")  # noqa: S608
    return {row["run_id"]: row for row in rows}


def _kind(db: Database, found: Row) -> str:
    db.attach("mentions", keys=[found["name"]], held=True)
    query = """SELECT max(kind) AS kind FROM near_mentions
        WHERE how = 'name' AND key = $name AND namespace = $namespace"""
    return str(db.rows(query, namespace=found["namespace"], name=found["name"])[0]["kind"])


def _is_told(node: _Node, told: set[tuple[str, ...]]) -> bool:
    assert node.run is not None  # noqa: S101  only nodes with a run come here
    identity = (node.namespace, node.name, node.run["run_id"])
    node.repeated = identity in told
    told.add(identity)
    return node.repeated


def _find_runs(db: Database, nodes: list[_Node]) -> None:
    """Set the run that wrote each node, where the log knows one."""
    if not nodes:
        return
    _want(db, {(node.namespace, node.name) for node in nodes})
    # A reader may know a thing by another name (symlinks), or by the folder whose parts were written (Spark).
    written = db.rows("""
        SELECT wanted.namespace, wanted.name, version, fingerprint, run_id, started_at, wrote_at,
            list_position(['name', 'identity', 'folder'], how) AS tier
        FROM wanted JOIN near_mentions AS m ON m.key = wanted.name AND m.key_namespace = wanted.namespace
        WHERE role = 'output' AND how IN ('name', 'identity', 'folder')
        QUALIFY tier = min(tier) OVER (PARTITION BY wanted.namespace, wanted.name)
        ORDER BY wrote_at, run_id""")
    by_name: dict[tuple[str, str], list[Row]] = {}
    for row in written:
        by_name.setdefault((row.pop("namespace"), row.pop("name")), []).append(row)
    chosen = [(node, _writer(node, by_name.get((node.namespace, node.name), []))) for node in nodes]
    runs = _runs(db, {run_id for _, run_id in chosen if run_id is not None})
    for node, run_id in chosen:
        node.run = None if run_id is None else runs[run_id]


def _want(db: Database, found: set[tuple[str, str]]) -> None:
    """Fill `wanted` with these names, and have what is known of them in `near_mentions`."""
    db.fill("wanted", ("namespace", "name"), sorted(found))
    db.attach("mentions", keys=[name for _, name in found], held=True)


def _writer(node: _Node, candidates: list[Row]) -> str | None:
    """The run that wrote what this node's reader saw; candidates come oldest first."""
    in_time = [
        row for row in candidates if node.before is None or row["wrote_at"] <= node.before
    ] or candidates
    for field in ("fingerprint", "version"):
        known = getattr(node, field)
        if known is not None:
            for pool in (in_time, candidates):
                same = [row for row in pool if row[field] == known]
                if same:
                    return str(same[-1]["run_id"])
            in_time = [row for row in in_time if row[field] is None]
    return str(in_time[-1]["run_id"]) if in_time else None


def _find_steps(db: Database, nodes: list[_Node]) -> None:
    """Tell each node's run the names of its transformations."""
    if not nodes:
        return
    ids = {node.run["run_id"] for node in nodes if node.run}
    db.attach("facets", runs=ids, held=True)
    db.fill("told", ("run_id",), {(run_id,) for run_id in ids})
    rows = db.rows("""
        SELECT run_id, json_extract_string(value, '$.steps[*].id') AS steps
        FROM near_facets JOIN told USING (run_id)
        WHERE scope = 'run' AND key = 'modelTrail_featureTransformations'""")
    steps = {row["run_id"]: [step for step in row["steps"] if step] for row in rows}
    for node in nodes:
        assert node.run is not None  # noqa: S101
        node.run["steps"] = steps.get(node.run["run_id"], [])


def _find_inputs(db: Database, nodes: list[_Node]) -> list[_Node]:
    """Give each node the inputs of its run that went into it; the new nodes."""
    if not nodes:
        return []
    keys = sorted({(node.run["run_id"], node.namespace, node.name) for node in nodes if node.run})
    db.attach("run_datasets", "edges", "deployments", runs={run_id for run_id, _, _ in keys}, held=True)
    db.fill("wanted", ("run_id", "namespace", "name"), keys)
    # What a run itself put out under this name (an evaluation inside the training run reads its model) is no
    # source. A model asked for by its registered name was put out as a file: all that went into any output of
    # that digest.
    rows = db.rows("""
        WITH output AS (
            SELECT wanted.*, d.namespace AS out_namespace, d.name AS out_name
            FROM wanted JOIN near_run_datasets AS d ON d.run_id = wanted.run_id AND d.role = 'output'
                AND (d.kind = 'model' OR (d.namespace, d.name) = (wanted.namespace, wanted.name)
                    OR starts_with(d.name, wanted.name || '/')
                    OR list_contains(d.identities, concat(wanted.namespace, chr(9), wanted.name)))
        )
        SELECT DISTINCT output.run_id, output.namespace AS to_namespace, output.name AS to_name,
            e.from_namespace AS namespace, e.from_name AS name,
            coalesce(i.kind, 'dataset') AS kind, i.version, i.fingerprint, i.use, i.rows
        FROM output
        JOIN near_edges AS e ON e.run_id = output.run_id
            AND (e.to_namespace, e.to_name) = (output.out_namespace, output.out_name)
        LEFT JOIN near_run_datasets AS i ON i.run_id = e.run_id AND i.role = 'input'
            AND (i.namespace, i.name) = (e.from_namespace, e.from_name)
        WHERE NOT EXISTS (FROM near_run_datasets AS made WHERE made.run_id = e.run_id AND made.role = 'output'
            AND made.kind = 'model' AND (made.namespace, made.name) = (e.from_namespace, e.from_name))
        ORDER BY coalesce(list_position(['train', 'validation', 'test'], use), 9), use IS NULL,
            e.from_name""")
    by_output: dict[tuple[str, str, str], list[Row]] = {}
    for row in [*rows, *_deployed(db)]:
        key = (row.pop("run_id"), row.pop("to_namespace"), row.pop("to_name"))
        by_output.setdefault(key, []).append(row)
    for node in nodes:
        assert node.run is not None  # noqa: S101
        inputs = by_output.get((node.run["run_id"], node.namespace, node.name), [])
        before = node.run["started_at"] or node.run["wrote_at"]
        unique = {(row["namespace"], row["name"]): row for row in reversed(inputs)}
        node.inputs = [_Node(**row, before=before) for row in reversed(unique.values())]
    found = [child for node in nodes for child in node.inputs]
    _find_models(db, found)
    return found


def _find_models(db: Database, nodes: list[_Node]) -> None:
    """Say `model` of what is one elsewhere: a reader may not know it."""
    _want(db, {(node.namespace, node.name) for node in nodes})
    rows = db.rows("""SELECT DISTINCT wanted.* FROM wanted JOIN near_mentions AS m
            ON m.key = wanted.name AND m.key_namespace = wanted.namespace
        WHERE how = 'name' AND role = 'output' AND kind = 'model'""")
    models = {(row["namespace"], row["name"]) for row in rows}
    for node in nodes:
        if (node.namespace, node.name) in models:
            node.kind = "model"


def _deployed(db: Database) -> list[Row]:
    """The model behind an endpoint, where the deploying run does not list it as an input."""
    return db.rows("""
        SELECT wanted.run_id, wanted.namespace AS to_namespace, wanted.name AS to_name,
            model_namespace AS namespace, model_name AS name, 'model' AS kind, model_version AS version,
            model_digest AS fingerprint, NULL AS use, NULL AS rows
        FROM wanted JOIN near_deployments USING (run_id)
        WHERE model_name IS NOT NULL AND model_namespace IS NOT NULL
        AND (run_id, model_namespace, model_name) NOT IN (
            SELECT (run_id, namespace, name) FROM near_run_datasets WHERE role = 'input')""")


def _plain(node: _Node) -> dict[str, Any]:
    told = {
        name: getattr(node, name)
        for name in ("namespace", "name", "kind", "version", "fingerprint", "use", "rows")
    }
    inputs = [] if node.repeated else [_plain(child) for child in node.inputs]
    return told | {"run": node.run, "repeated": node.repeated, "inputs": inputs}
