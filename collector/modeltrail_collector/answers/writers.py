"""What wrote the very thing that a run read: of all that ever wrote under its names the one run."""

import os.path
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from modeltrail_collector.answers import content, sources
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.places import Name, Own, Places, replaced
from modeltrail_collector.tables.pairing import IN_MEMORY


class Node(msgspec.Struct):
    """A dataset as one run read it, or as it was asked for: `run` is what wrote it.

    It was read after `before`, and before `until`, when its reader began and ended.

    `reader` is the run that read it.
    `copy_of` is what `run` calls the same bytes, where nothing but these says that it is this.
    `symlinks` are its other names, as its reader says; `at` is the name that led to `run`. Of a folder
    `parts` are what lay in it, each with the run that wrote it. If these are several it has no `run`: its
    `inputs` are then what each of them wrote there. `unsure` says of a `run` that failed that nothing shows
    that it wrote; `beside` is then this node once more for each run before it, up to one that did not fail.
    """

    namespace: str
    name: str
    kind: str = "dataset"
    version: str | None = None
    fingerprint: str | None = None
    use: str | None = None
    rows: int | None = None
    symlinks: list[Name] = []
    column: str | None = None
    how: list[str] = []
    deployment: Row | None = None
    possible: bool = False
    reader: str | None = None
    before: str | None = None
    until: str | None = None
    run: Row | None = None
    by_name: bool = False
    copy_of: Name | None = None
    unsure: bool = False
    exact: bool = False
    at: Name | None = None
    own: Own | None = None
    repeated: bool = False
    cut: str | None = None
    more: int = 0
    tree: int = 0
    inputs: "list[Node]" = []
    beside: "list[Node]" = []
    parts: dict[str, Row] = {}


def find_writers(db: Database, nodes: list[Node], places: Places) -> None:
    """Set the run that wrote each node, where the log knows one: its id, when it started and wrote."""
    if not nodes:
        return
    called = [[(node.namespace, node.name), *node.symlinks] for node in nodes]
    written = sources.writers(db, {name for several in called for name in several})
    own = {row["run_id"] for rows in written.values() for row in rows} & {node.reader for node in nodes}
    over = replaced(places.of(own))
    unsure: list[_Unsure] = []
    for node, several in zip(nodes, called, strict=True):
        candidates = _candidates(several, written)
        is_named = any(row["how"] == "name" and row["kind"] == "model" for row in candidates)
        if node.column is None and is_named:
            node.kind = "model"
        if candidates and candidates[0]["how"] == "folder":
            _find_parts(node, candidates, places)
            continue
        is_replaced = (node.reader, node.namespace, node.name) in over
        if (found := _writer(node, candidates, is_replaced=is_replaced)) is not None:
            _tell_writer(node, found)
            if _may_have_failed(node, found):
                unsure.append((node, found, candidates, is_replaced))
    _tell_before_failed(db, unsure)


def find_makers(db: Database, nodes: Iterable[Node], places: Places) -> list[Node]:
    """Set the run that first made what was copied to where it was read, by nobody who told of it.

    Of those whose writer is not known. What was read there before that run began was there already: it is no
    copy. What nothing lies in, or that was only in memory, was not copied. Returns the nodes that were found.
    """
    unknown = [
        node
        for node in nodes
        if node.run is None and not node.parts and node.namespace != IN_MEMORY and node.rows != 0
    ]
    digests = {node.fingerprint for node in unknown if node.fingerprint}
    if not (same := content.put_out(db, digests)):
        return []
    made, first_read = content.made(db, same, places), content.first_read(db, same)
    found = []
    for node in unknown:
        digest = node.fingerprint or ""
        # What is not told here was read in part: of data alone, a model may be one that was only deployed.
        unread = "~" if node.kind == "model" else ""
        was_there = first_read.get((digest, (node.namespace, node.name)), unread)
        in_time = [row for row in made.get(digest, []) if (row["started_at"] or row["wrote_at"]) <= was_there]
        if in_time and all(row["run_id"] != node.reader for row in same[digest]):
            _tell_writer(node, in_time[0])
            node.copy_of = in_time[0]["at"]
            found.append(node)
    return found


_Unsure = tuple[Node, Row, list[Row], bool]
"""A node, who wrote it, all that may have, and whether its reader made it anew."""


def _may_have_failed(node: Node, found: Row) -> bool:
    """Whether nothing shows that a run wrote data, but that it was to: of a failed one nobody knows."""
    is_by_name = node.by_name and found["run_id"] != node.reader
    return is_by_name and node.kind == "dataset" and not (found["fingerprint"] or found["version"])


def _tell_before_failed(db: Database, unsure: list[_Unsure]) -> None:
    """Tell beside a run that failed, and may have left all as it was, who wrote that before."""
    chosen = _failed(db, {found["run_id"] for _, found, *_ in unsure})
    unsure = [each for each in unsure if each[1]["run_id"] in chosen]
    failed = _failed(db, {row["run_id"] for *_, candidates, _ in unsure for row in candidates})
    for node, found, candidates, is_replaced in unsure:
        one, last, left = node, found, candidates
        while last["run_id"] in failed and _may_have_failed(one, last):
            one.unsure = True
            left = [row for row in left if row["run_id"] != last["run_id"]]
            before = _writer(node, left, is_replaced=is_replaced)
            if before is None:
                break
            one, last = msgspec.structs.replace(node, beside=[], unsure=False), before
            _tell_writer(one, last)
            node.beside.append(one)


def _failed(db: Database, runs: set[str]) -> set[str]:
    found = db.read("runs", "run_id", runs=runs, where="state IN ('FAIL', 'ABORT')") if runs else []
    return {row["run_id"] for row in found}


def _candidates(several: Sequence[Name], written: Mapping[Name, list[Row]]) -> list[Row]:
    """What may have written a thing of these names, oldest first; the first name is its own.

    `at` is the name that led there. Another name may be that of several things: what was written under it is
    this thing, what only has it too is so where nothing else was.
    """
    own, *others = ([row | {"at": name} for row in written.get(name, [])] for name in several)
    found = [row for row in own if row["how"] != "folder"]
    for rows in others:
        named = [row for row in rows if row["how"] == "name"]
        found += sources.unlike_models(named, found) if found else named
    if found:
        return sorted(found, key=sources.age)
    return min(
        (rows for rows in (own, *others) if rows), key=lambda rows: rows[0]["how"] == "folder", default=[]
    )


def _find_parts(node: Node, candidates: list[Row], places: Places) -> None:
    """Set the runs that wrote what lay in a folder when it was read: of each part the last before.

    One run is that of the folder. Of several each has a node in it: the part that it wrote or, of more than
    one, the nearest folder that they lie in.
    """
    by_run = {row["run_id"]: row for row in candidates if row["run_id"] != node.reader}
    namespace, folder = candidates[0]["at"]
    for row in places.of(by_run):
        wrote = by_run[row["run_id"]] | {"kind": row["kind"]}
        is_in_time = node.before is None or wrote["wrote_at"] <= node.before
        is_inside = row["namespace"] == namespace and row["name"].startswith(f"{folder}/")
        if row["role"] == "output" and is_inside and is_in_time:
            node.parts[row["name"]] = max(node.parts.get(row["name"], wrote), wrote, key=sources.age)
    wrote_in: dict[str, list[str]] = {}
    for name, wrote in node.parts.items():
        wrote_in.setdefault(wrote["run_id"], []).append(name)
    inside = [_part(node, several) for several in wrote_in.values()]
    if len(inside) > 1:
        node.inputs = sorted(inside, key=lambda part: part.name)
        return
    found = by_run[next(iter(wrote_in))] if wrote_in else _writer(node, candidates, is_replaced=False)
    if found is not None:
        _tell_writer(node, found)


def _part(folder: Node, names: list[str]) -> Node:
    """What one of several runs wrote in a folder."""
    around = os.path.commonprefix(names).rpartition("/")[0]  # noqa: RUF071  commonpath folds `//` of a URI
    name = names[0] if len(names) == 1 else around
    wrote = folder.parts[names[0]] | ({"how": "name"} if len(names) == 1 else {"kind": folder.kind})
    at = (wrote["at"][0], name)
    part = Node(*at, wrote["kind"], column=folder.column, reader=folder.reader, tree=folder.tree)
    _tell_writer(part, wrote | {"at": at})
    return part


def _tell_writer(node: Node, found: Row) -> None:
    """Set the run that wrote a node."""
    node.exact, node.at = found["how"] == "name" and node.kind != "model", found["at"]
    node.run = {name: found[name] for name in ("run_id", "started_at", "wrote_at")}
    node.by_name = not any(
        known and known == found[field]
        for field, known in (("fingerprint", node.fingerprint), ("version", node.version))
    )


def _writer(node: Node, candidates: list[Row], *, is_replaced: bool) -> Row | None:
    """The run that wrote what this node's reader saw; candidates come oldest first.

    What its reader wrote itself, in its place, is only that if it is the same content, and never what it made
    of it. Of content that its reader could not see the last run that wrote it before is told. A run that goes
    on while another reads what it wrote (a shell, a notebook) ends too late: it counts before later ones. So
    does one that wrote while its reader was under way (Spark, which reads after it began).
    """
    own = [row for row in candidates if row["run_id"] == node.reader]
    if is_replaced:
        candidates = [row for row in candidates if row["run_id"] != node.reader]
    in_time = [row for row in candidates if node.before is None or row["wrote_at"] <= node.before]
    begun = [row for row in candidates if node.before is None or (row["started_at"] or "~") <= node.before]
    if not in_time and not own and (node.fingerprint or not node.use):
        in_time = begun or [row for row in candidates if node.until is None or row["wrote_at"] <= node.until]
    pools = (in_time, begun, candidates) if is_replaced else (own, in_time, begun, candidates)
    for field in ("fingerprint", "version"):
        if known := getattr(node, field):
            for pool in pools:
                same = [row for row in pool if row[field] == known]
                if same:
                    return same[-1]
            in_time = [row for row in in_time if row[field] is None]
    return in_time[-1] if in_time else None
