"""The path back from a model, a dataset or an endpoint, run by run, to what no run wrote."""

from typing import Any, Final

from modeltrail_collector.answers import carried, names, sources
from modeltrail_collector.answers.database import Database, Row, opened
from modeltrail_collector.answers.endpoints import deployments, in_force
from modeltrail_collector.answers.places import (
    Key,
    Places,
    apart,
    key_of,
    models_of,
    names_of,
    put_out,
)
from modeltrail_collector.answers.registry import registering
from modeltrail_collector.answers.writers import Node, find_makers, find_writers
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Log
from modeltrail_collector.tables.pairing import IN_MEMORY

DEPTH: Final = 100
"""Runs, one behind the other, that are followed."""

THINGS: Final = 50_000
"""Things in one answer."""

_UNTOLD: Final = ("reader", "before", "until", "exact", "at", "own", "tree", "inputs", "parts", "beside")
_TOLD: Final = tuple(name for name in Node.__struct_fields__ if name not in _UNTOLD)


def trace(of: Log | Database, text: str, *, column: str | None = None) -> dict[str, Any]:
    """The tree of what `text` came from: `MODEL[@VERSION]`, an endpoint (its name or URI) or a dataset.

    A node is an object: namespace, name, kind, version, fingerprint (None where its reader does not say
    which content it read), use, rows, `symlinks` (other names, as its reader says), `run` (run_id, job,
    state, times; None for what no run in the log wrote) and `inputs`, the nodes that this run made it from.
    Of a run that failed and may not have written it (`unsure`) what was written before is a node beside it.
    A node told elsewhere in the tree is `repeated` and its inputs are left out. A run has `steps`, the names
    of its transformations, in order, and `models`, how many it made: of several, what it learned from is the
    run's, and not of one of them alone. Who made a model that it `only_registered` is not known. Below an
    endpoint stand the model versions in force there, each with the `deployment` that brought it.

    A node is `possible` where the run read it, nobody saw what for, and so may have made the thing above of
    it: of what a run read before its model was saved, that has the role `other`.

    With `column` only that column is followed: each node has a `column` and `how` it went into the one above
    it (`direct identity`, `indirect filter`, `feature`, … as its producer says). Of a run that does not say
    what its columns were made from, `cut` is `columns`. Of one that
    took nothing but data in memory it is `memory`: where that came from was not recorded.

    At most 100 runs deep and 50,000 nodes: where more would follow, `cut` says why (`depth` or `size`), and
    `more` how many inputs are left out where that is known.

    Which run wrote what another read: the one whose output has the fingerprint that was read; else the same
    version; else, where one of them is unknown, the last that wrote it before: such a node is `by_name`. What
    no run wrote under any of its names, and one made with the same bytes, is a `copy_of` that, unless it was
    read there before. A run that wrote over what it read is not the source of that. It may have written it
    under another of its names (symlinks). A folder in which several runs wrote has no `run`: its `inputs` are
    what each of them wrote there, of each part the last before it was read: that part or, of several, the
    folder around them.

    Raises NotFound when nothing or more than one thing is called so, or when it is known to have no such
    column.
    """
    with opened(of) as db:
        places = Places(db)
        root, level = _root(db, text, places)
        for node in (root, *level):
            node.column = column
        followed = _followed(db, level, places, possible=True)
        _find_runs(db, [root, *followed], places)
        told = _plain(root)
        asked = [one for node in level for one in _parts(node)]
        if column is not None and not any(node.inputs for node in asked):
            for node in asked:
                _check_column(db, text, node)
        return told


def _check_column(db: Database, text: str, node: Node) -> None:
    """Raises NotFound where the columns of this are known, and it has none that is called so."""
    assert node.column is not None  # noqa: S101  only with a column it comes here
    if node.kind != "model":
        carried.check_column(db, node.column, {(node.namespace, node.name)})
    elif node.run is not None:
        carried.check_learned(db, node.column, text, node.run["run_id"])


def trails(
    db: Database, models: list[Row], places: Places, *, possible: bool = False
) -> list[dict[str, Any]]:
    """The tree of each model version (row of `models`), from the run on that made it.

    Of the runs below it only the id is told, and when they started and wrote; what is only possible where
    that is asked for.
    """
    runs = sources.runs_of(db, {model["run_id"] for model in models})
    roots = [_made(model, runs.get(model["run_id"])) for model in models]
    for number, root in enumerate(roots):
        root.tree = number
    _followed(db, roots, places, possible=possible)
    return [_plain(root) for root in roots]


def _followed(db: Database, level: list[Node], places: Places, *, possible: bool = False) -> list[Node]:
    """The nodes that a run wrote, of trees side by side: several cost little more than one."""
    told: set[tuple[int | str | None, ...]] = set()
    written: list[Node] = []
    unknown: list[Node] = []
    left = THINGS
    for depth in range(DEPTH + 1):
        find_writers(db, [node for node in level if node.run is None], places)
        unknown += [node for node in level if node.run is None]
        found, left = _found(level, left)
        places.of(node.run["run_id"] for node in found if node.run)  # at once for all that follows
        _find_own(found, places)
        fresh = [node for node in found if not _is_told(node, told)]
        written += found
        if depth == DEPTH:
            copied = find_makers(db, unknown, places)
            for node in (*fresh, *copied):
                node.cut = "depth"
            written += copied
            break
        level = _find_inputs(db, fresh, places, left, possible=possible)
        left -= len(level)
        if not level:  # who made what was copied is looked up once for all that went before
            level, unknown = find_makers(db, unknown, places), []
        if not level:
            break
    for node in written:
        if node.cut is None and node.inputs and all(map(_is_unheard_of, node.inputs)):
            node.cut = "memory"
    return written


def _found(level: list[Node], left: int) -> tuple[list[Node], int]:
    """What runs wrote of these, at most so many parts of folders; how many more there may be then."""
    found: list[Node] = []
    for node in level:
        parts = _parts(node)
        if parts is node.inputs and len(parts) > left:
            node.more, node.cut = len(parts) - left, "size"
            node.inputs = parts = parts[:left]
        left -= len(node.inputs)
        found += [one for one in parts if one.run is not None]
    return found, left


def _parts(node: Node) -> list[Node]:
    """What several runs wrote in a folder; of anything else itself, and what may have lain there instead."""
    return node.inputs if node.run is None and node.inputs else [node, *node.beside]


def _is_unheard_of(node: Node) -> bool:
    """Whether a run had this in memory, and nobody saw from where."""
    return node.namespace == IN_MEMORY and node.run is None


def _root(db: Database, text: str, places: Places) -> tuple[Node, list[Node]]:
    """What is meant, and where the way back from it begins: at itself, or at what is in force there."""
    for in_full in (True, False):
        if model := names.find_model(db, text, in_full=in_full):
            node = _made(model, _run(db, model["run_id"]))
            return node, [node]
        found = deployments(db, text) if in_full else []
        if not found and (dataset := names.find_dataset(db, text, in_full=in_full)):
            node = Node(dataset["namespace"], dataset["name"], dataset["kind"])
            found = deployments(db, node.name) if node.kind == "endpoint" else []
            if not found:
                find_writers(db, [node], places)
                if node.run is None:
                    _tell_as_read(db, node)
                node.beside = []  # one tree has one root: its run says that it failed
                return node, [node]
        if found:
            node = _endpoint(db, found)
            return node, node.inputs
    raise NotFound(names.unknown_model(db, text) if "@" in text else names.unknown_dataset(db, text))


def _tell_as_read(db: Database, node: Node) -> None:
    """Set the other names of a dataset as the last run that read it says, and which content it read."""
    name: dict[str, Any] = {"namespace": node.namespace, "name": node.name}
    where, then = "how = 'name' AND (namespace, name) = ($namespace, $name)", "ORDER BY last_event_at DESC"
    read = db.read("mentions", "run_id", keys=[node.name], where=where, then=f"{then} LIMIT 1", **name)
    said = db.read(
        "run_datasets",
        "identities, fingerprint",
        runs=[row["run_id"] for row in read],
        where="(namespace, name) = ($namespace, $name)",
        **name,
    )
    for row in said[:1]:
        node.symlinks, node.fingerprint = names_of(row["identities"]), row["fingerprint"]


def _made(model: Row, run: Row | None) -> Node:
    return Node(
        model["namespace"],
        model["name"],
        "model",
        version=model["version"],
        fingerprint=model["digest"],
        run=run,
    )


def _run(db: Database, run_id: str) -> Row | None:
    return sources.runs_of(db, [run_id]).get(run_id)


def _endpoint(db: Database, found: list[Row]) -> Node:
    """An endpoint with the model versions in force there, as written by the run that brought the last one."""
    serving, last = in_force(found), found[-1]
    node = Node(last["namespace"] or last["platform"], last["dataset"] or last["endpoint"], kind="endpoint")
    node.run = _run(db, (serving or found)[-1]["run_id"])
    told = ("run_id", "action", "environment", "traffic_percent", "effective_at", "actor")
    for row in serving:
        model = Node(
            *(row["model_namespace"] or "", row["model_name"] or "", "model"),
            *(row["model_version"], row["model_digest"]),
            deployment={name: row[name] for name in told},
            before=row["effective_at"],
        )
        _find_maker(db, model)
        node.inputs = [*node.inputs, model]
    return node


def _find_maker(db: Database, node: Node) -> None:
    """Set the run that made the model version that was deployed, if the log knows that version."""
    keys = [key for key in (node.fingerprint, node.name) if key]
    where = "how IN ('digest', 'name', 'registered') AND kind = 'model'"
    known = db.read("mentions", "DISTINCT namespace, name", keys=keys, where=where)
    found = db.read(
        "models",
        "run_id, digest",
        models=[(row["namespace"], row["name"]) for row in known],
        where="""CASE WHEN $digest IS NOT NULL AND digest IS NOT NULL THEN digest = $digest
            ELSE version = $version AND $name IN (name, registered_name)
                AND $namespace IN ('', namespace) END""",
        then="ORDER BY namespace = $namespace DESC, created_at DESC LIMIT 1",
        **{name: getattr(node, name) for name in ("namespace", "name", "version")},
        digest=node.fingerprint,
    )
    if found:
        node.run = _run(db, found[0]["run_id"])
        node.fingerprint = node.fingerprint or found[0]["digest"]


def _is_told(node: Node, told: set[tuple[int | str | None, ...]]) -> bool:
    assert node.run is not None  # noqa: S101  only nodes with a run come here
    identity = (node.tree, node.namespace, node.name, node.run["run_id"], node.column)
    node.repeated = identity in told
    told.add(identity)
    return node.repeated


def _find_runs(db: Database, nodes: list[Node], places: Places) -> None:
    """Tell of each node's run all that is told of runs: its job, its state, the names of its steps."""
    ids = {node.run["run_id"] for node in nodes if node.run is not None}
    known, steps = sources.runs_of(db, ids), sources.steps(db, ids)
    made = models_of(places.of(ids))
    registered = registering(db, {node.run["run_id"] for node in nodes if node.run and node.kind == "model"})
    for node in nodes:
        if (run := node.run) is not None:
            run_id, mine = run["run_id"], node.own
            run["only_registered"] = node.kind == "model" and run_id in registered
            told = [name for name, of in steps.get(run_id, []) if mine is None or of is None or of in mine]
            run.update(known[run_id], steps=told, models=made.get(run_id), told_apart=mine is not None)


def _find_own(nodes: list[Node], places: Places) -> None:
    """Of models that their runs tell apart set what they are called there: as outputs, and in facets.

    One that only another run calls so has the name that its maker gave these bytes.
    """
    made = [(node, _output(node)) for node in nodes if node.kind == "model"]
    rows = places.of(run_id for _, (run_id, *_) in made)
    told, models = apart(rows), put_out(rows)
    called = {
        (row["run_id"], row["fingerprint"]): (row["namespace"], row["name"])
        for row in rows
        if key_of(row) in models and row["role"] == "output"
    }
    for node, output in made:
        found = told.get(output) or told.get((output[0], node.fingerprint or ""))
        if found is not None:
            _, namespace, name, node.own = found
            node.exact, node.at = True, (namespace, name)
        elif output not in models and node.fingerprint:
            node.at = called.get((output[0], node.fingerprint), node.at)


def _find_inputs(db: Database, nodes: list[Node], places: Places, left: int, *, possible: bool) -> list[Node]:
    """Give each node the inputs of its run that went into it, `left` in all; the new nodes."""
    if not nodes:
        return []
    if left <= 0:
        for node in nodes:
            node.cut = "size"
        return []
    by_output = _inputs(db, nodes, places, left, possible=possible)
    full = sum(map(len, by_output.values())) >= left
    for node in nodes:
        found = by_output.get((*_output(node), node.column), [])
        assert node.run is not None  # noqa: S101  only nodes with a run come here
        before = node.run["started_at"] or node.run["wrote_at"]
        node.more = found[0]["total"] - len(found) if found else 0
        known = [{key: value for key, value in row.items() if key != "total"} for row in found]
        when = {"before": before, "until": node.run["wrote_at"]}
        node.inputs = [Node(**row, reader=node.run["run_id"], **when, tree=node.tree) for row in known]
        if node.more or (full and not found):
            node.cut = "size"
        elif node.column is not None and all(row["namespace"] == IN_MEMORY for row in found):
            node.cut = "columns"
    return [child for node in nodes for child in node.inputs]


def _output(node: Node) -> Key:
    """The output of its run that a node is, by the name that led there."""
    assert node.run is not None  # noqa: S101  only nodes with a run come here
    return (node.run["run_id"], *(node.at or (node.namespace, node.name)))


def _inputs(
    db: Database, nodes: list[Node], places: Places, left: int, *, possible: bool
) -> dict[tuple[str | None, ...], list[Row]]:
    """What went into each: (run id, namespace, name, column) -> rows."""
    exact, other = ({_output(node) for node in nodes if node.exact is one} for one in (True, False))
    of = {(*_output(node), node.column) for node in nodes if node.column is not None}
    by_output: dict[tuple[str | None, ...], list[Row]] = {}
    rows = places.of(run_id for run_id, *_ in exact | other)
    if of:
        found = sources.columns(db, rows, exact, other, of, most=left)
    else:
        found = sources.inputs(db, rows, exact, other, most=left, possible=possible)
    for row in found:
        key = (row.pop("run_id"), row.pop("to_namespace"), row.pop("to_name"), row.pop("to_column", None))
        by_output.setdefault(key, []).append(row)
    return by_output


def _plain(node: Node) -> dict[str, Any]:
    inputs = [] if node.repeated else [_plain(one) for child in node.inputs for one in (child, *child.beside)]
    links = [{"namespace": namespace, "name": name} for namespace, name in node.symlinks]
    copy_of = node.copy_of and dict(zip(("namespace", "name"), node.copy_of, strict=True))
    told = {"symlinks": links, "copy_of": copy_of, "inputs": inputs}
    return {name: getattr(node, name) for name in _TOLD} | told
