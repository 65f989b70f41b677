"""The path back from a model, a dataset or an endpoint, run by run, to what no run wrote."""

from typing import Any, Final

import msgspec

from modeltrail_collector.answers import names
from modeltrail_collector.answers.database import Database, Row, database
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Log

_DEPTH: Final = 100

_RUN: Final = """runs.run_id, job_namespace, job_name, state, started_at, ended_at,
    coalesce(ended_at, last_event_at) AS wrote_at"""


class Node(msgspec.Struct):
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
    inputs: "list[Node]" = []


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
    tables = ("models", "runs", "run_datasets", "edges", "deployments", "facets")
    with database(of, *tables, held=True) as db:
        return _followed(db, _root(db, text))


def trail(db: Database, model: Row, run_id: str) -> dict[str, Any]:
    """The tree of a model version (row of `models`) from this run on, one of those that made these bytes.

    Needs the tables that `trace` opens.
    """
    return _followed(db, _made(db, model, run_id))


def _followed(db: Database, root: Node) -> dict[str, Any]:
    told: set[tuple[str, ...]] = set()
    level = [root]
    for _ in range(_DEPTH):
        if not level:
            break
        find_writers(db, [node for node in level if node.run is None])
        fresh = [node for node in level if node.run is not None and not _is_told(node, told)]
        _find_steps(db, fresh)
        level = _find_inputs(db, fresh)
    return _plain(root)


def _root(db: Database, text: str) -> Node:
    try:
        model = names.model(db, text)
    except NotFound as unknown:
        try:
            found = names.dataset(db, text)
        except NotFound as error:
            raise (unknown if "@" in text else error) from None
        return Node(found["namespace"], found["name"], kind=_kind(db, found))
    return _made(db, model, model["run_id"])


def _made(db: Database, model: Row, run_id: str) -> Node:
    node = Node(model["namespace"], model["name"], "model", model["version"], model["digest"])
    runs = db.rows(f"SELECT {_RUN} FROM runs WHERE run_id = $run", run=run_id)  # noqa: S608
    node.run = runs[0] if runs else None
    return node


def _kind(db: Database, found: Row) -> str:
    query = "SELECT max(kind) AS kind FROM run_datasets WHERE (namespace, name) = ($namespace, $name)"
    return str(db.rows(query, namespace=found["namespace"], name=found["name"])[0]["kind"])


def _is_told(node: Node, told: set[tuple[str, ...]]) -> bool:
    assert node.run is not None  # noqa: S101  only nodes with a run come here
    identity = (node.namespace, node.name, node.run["run_id"])
    node.repeated = identity in told
    told.add(identity)
    return node.repeated


def find_writers(db: Database, nodes: list[Node]) -> None:
    """Set the run that wrote each node, where the log knows one."""
    if not nodes:
        return
    db.fill("wanted", ("namespace", "name"), sorted({(node.namespace, node.name) for node in nodes}))
    # A reader may know a thing by another name (symlinks), or by the folder whose parts were written (Spark).
    written = db.rows(f"""
        WITH output AS (SELECT * FROM run_datasets WHERE role = 'output'),
        named AS (
            SELECT wanted.*, output.run_id, output.version, output.fingerprint, 1 AS tier
            FROM wanted JOIN output USING (namespace, name)
            UNION ALL
            SELECT wanted.*, output.run_id, output.version, output.fingerprint, 2
            FROM wanted JOIN output
                ON list_contains(output.identities, concat(wanted.namespace, chr(9), wanted.name))
            UNION ALL
            SELECT wanted.*, output.run_id, NULL, NULL, 3
            FROM wanted JOIN output
                ON output.namespace = wanted.namespace AND starts_with(output.name, wanted.name || '/')
        )
        SELECT namespace, name, version, fingerprint, tier, {_RUN} FROM named JOIN runs USING (run_id)
        QUALIFY tier = min(tier) OVER (PARTITION BY namespace, name)
        ORDER BY wrote_at, runs.run_id""")  # noqa: S608
    by_name: dict[tuple[str, str], list[Row]] = {}
    for row in written:
        by_name.setdefault((row.pop("namespace"), row.pop("name")), []).append(row)
    for node in nodes:
        node.run = _writer(node, by_name.get((node.namespace, node.name), []))


def _writer(node: Node, candidates: list[Row]) -> Row | None:
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
                    return _run_of(same[-1])
            in_time = [row for row in in_time if row[field] is None]
    return _run_of(in_time[-1]) if in_time else None


def _run_of(row: Row) -> Row:
    return {key: value for key, value in row.items() if key not in ("tier", "version", "fingerprint")}


def _find_steps(db: Database, nodes: list[Node]) -> None:
    """Tell each node's run the names of its transformations."""
    if not nodes:
        return
    db.fill("told", ("run_id",), sorted({(node.run["run_id"],) for node in nodes if node.run}))
    rows = db.rows("""
        SELECT run_id, json_extract_string(value, '$.steps[*].id') AS steps
        FROM facets JOIN told USING (run_id)
        WHERE scope = 'run' AND key = 'modelTrail_featureTransformations'""")
    steps = {row["run_id"]: [step for step in row["steps"] if step] for row in rows}
    for node in nodes:
        assert node.run is not None  # noqa: S101
        node.run["steps"] = steps.get(node.run["run_id"], [])


def _find_inputs(db: Database, nodes: list[Node]) -> list[Node]:
    """Give each node the inputs of its run that went into it; the new nodes."""
    if not nodes:
        return []
    keys = sorted({(node.run["run_id"], node.namespace, node.name) for node in nodes if node.run})
    db.fill("wanted", ("run_id", "namespace", "name"), keys)
    # What a run itself put out under this name (an evaluation inside the training run reads its model) is no
    # source. A model asked for by its registered name was put out as a file: all that went into any output of
    # that digest.
    rows = db.rows("""
        WITH output AS (
            SELECT wanted.*, d.namespace AS out_namespace, d.name AS out_name
            FROM wanted JOIN run_datasets AS d ON d.run_id = wanted.run_id AND d.role = 'output'
                AND (d.kind = 'model' OR (d.namespace, d.name) = (wanted.namespace, wanted.name)
                    OR starts_with(d.name, wanted.name || '/')
                    OR list_contains(d.identities, concat(wanted.namespace, chr(9), wanted.name)))
        )
        SELECT DISTINCT output.run_id, output.namespace AS to_namespace, output.name AS to_name,
            e.from_namespace AS namespace, e.from_name AS name,
            CASE WHEN (e.from_namespace, e.from_name) IN (SELECT (namespace, name) FROM models) THEN 'model'
                ELSE coalesce(i.kind, 'dataset') END AS kind,
            i.version, i.fingerprint, i.use, i.rows
        FROM output
        JOIN edges AS e ON e.run_id = output.run_id
            AND (e.to_namespace, e.to_name) = (output.out_namespace, output.out_name)
        LEFT JOIN run_datasets AS i ON i.run_id = e.run_id AND i.role = 'input'
            AND (i.namespace, i.name) = (e.from_namespace, e.from_name)
        WHERE NOT EXISTS (FROM run_datasets AS made WHERE made.run_id = e.run_id AND made.role = 'output'
            AND made.kind = 'model' AND (made.namespace, made.name) = (e.from_namespace, e.from_name))
        ORDER BY coalesce(list_position(['train', 'validation', 'test'], use), 9), use IS NULL,
            e.from_name""")
    by_output: dict[tuple[str, str, str], list[Row]] = {}
    for row in [*rows, *_deployed(db)]:
        key = (row.pop("run_id"), row.pop("to_namespace"), row.pop("to_name"))
        by_output.setdefault(key, []).append(row)
    for node in nodes:
        assert node.run is not None  # noqa: S101
        found = by_output.get((node.run["run_id"], node.namespace, node.name), [])
        before = node.run["started_at"] or node.run["wrote_at"]
        unique = {(row["namespace"], row["name"]): row for row in reversed(found)}
        node.inputs = [Node(**row, before=before) for row in reversed(unique.values())]
    return [child for node in nodes for child in node.inputs]


def _deployed(db: Database) -> list[Row]:
    """The model behind an endpoint, where the deploying run does not list it as an input."""
    return db.rows("""
        SELECT wanted.run_id, wanted.namespace AS to_namespace, wanted.name AS to_name,
            model_namespace AS namespace, model_name AS name, 'model' AS kind, model_version AS version,
            model_digest AS fingerprint, NULL AS use, NULL AS rows
        FROM wanted JOIN deployments USING (run_id)
        WHERE model_name IS NOT NULL AND model_namespace IS NOT NULL
        AND (run_id, model_namespace, model_name) NOT IN (
            SELECT (run_id, namespace, name) FROM run_datasets WHERE role = 'input')""")


def _plain(node: Node) -> dict[str, Any]:
    told = {
        name: getattr(node, name)
        for name in ("namespace", "name", "kind", "version", "fingerprint", "use", "rows")
    }
    inputs = [] if node.repeated else [_plain(child) for child in node.inputs]
    return told | {"run": node.run, "repeated": node.repeated, "inputs": inputs}
