"""What runs read and put out, as every step between runs needs it: rows of `run_datasets`, read once."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.tables.own import LEARNED_FROM
from modeltrail_collector.tables.pairing import IN_MEMORY

Name = tuple[str, str]
Key = tuple[str, str, str]
"""Run id, namespace, name."""

Own = frozenset[str]
"""What a run calls one of its models, and the parts of it: each a `modelId`."""
Apart = tuple[str, str, str, Own]
"""Run id, namespace and name of a model that its run tells apart, and what it is called there."""

_COLUMNS: Final = """run_id, role, namespace, name, kind, version, fingerprint, use, followed,
    possible_outputs, rows, capture, identities, model_id, part_ids, made_of"""

_THINGS: Final = frozenset({"dataset", "model"})


def key_of(row: Row) -> Key:
    """Which input or output of which run a row is of."""
    return row["run_id"], row["namespace"], row["name"]


def by_key(rows: Iterable[Row]) -> dict[Key, list[Row]]:
    """Rows by what they are of: several where a run speaks of several versions of one name."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(key_of(row), []).append(row)
    return found


class Places:
    """What runs read and put out, of each run read once, for as long as one question lasts."""

    def __init__(self, db: Database) -> None:
        """Reads nothing yet."""
        self._db = db
        self._known: dict[str, list[Row]] = {}

    def of(self, runs: Iterable[str]) -> list[Row]:
        """What `placed` says of these runs."""
        wanted = sorted(set(runs))
        if fresh := [run_id for run_id in wanted if run_id not in self._known]:
            found: dict[str, list[Row]] = {run_id: [] for run_id in fresh}
            for row in placed(self._db, fresh):
                found[row["run_id"]].append(row)
            self._known |= found
        return [row for run_id in wanted for row in self._known[run_id]]


def placed(db: Database, runs: Collection[str]) -> list[Row]:
    """The inputs and outputs of these runs, each with what went into it in its run (`made_of`)."""
    rows = db.read("run_datasets", _COLUMNS, runs=runs)
    # An older version of this program wrote rows without these two columns.
    if older := {row["run_id"] for row in rows if row["made_of"] is None}:
        _complete(db, [row for row in rows if row["run_id"] in older], older)
    _leave_out_guessed(db, rows)
    return rows


def _leave_out_guessed(db: Database, rows: list[Row]) -> None:
    """Leave out of `made_of` of a run's model others of its models, unless its producer says so.

    Of a producer that says nothing all that was read went into all that was put out: also what was read only
    to evaluate it.
    """
    own, made = own_models(rows), put_out(rows)
    between = [
        (source, output)
        for source, output in edges(rows)
        if source in own and output in made and source != output
    ]
    if not between:
        return
    columns = "run_id, from_namespace, from_name, to_namespace, to_name"
    runs = {run_id for (run_id, *_), _ in between}
    said = db.read("edges", columns, runs=runs, where="via = 'cartesian'")
    guessed = {tuple(row.values()) for row in said}
    unsaid = {(source, output) for source, output in between if (*source, *output[1:]) in guessed}
    for row in rows:
        run_id, output = row["run_id"], key_of(row)
        if run_id in runs:
            kept = [name for name in names_of(row["made_of"]) if ((run_id, *name), output) not in unsaid]
            row["made_of"] = ["\t".join(name) for name in kept]


def own_models(rows: Iterable[Row]) -> set[Key]:
    """The models that these runs put out, without those that they wrote over: where they read other bytes.

    What is read there else is the run's own, or may be: an evaluation inside of it reads it.
    """
    contents: dict[tuple[str, Key], set[str | None]] = {}
    models = put_out(rows := [*rows])
    for row in rows:
        if key_of(row) in models:
            contents.setdefault((row["role"], key_of(row)), set()).add(row["fingerprint"])
    return {
        key
        for key in models
        if not (read := contents.get(("input", key)))
        or None in (both := read | contents["output", key])
        or len(both) < 2
    }


def put_out(rows: Iterable[Row]) -> set[Key]:
    """The models that these runs put out."""
    return {key_of(row) for row in rows if row["role"] == "output" and row["kind"] == "model"}


def _complete(db: Database, rows: list[Row], runs: Collection[str]) -> None:
    columns = "run_id, to_namespace, to_name, concat(from_namespace, chr(9), from_name) AS source"
    into: dict[Key, list[str]] = {}
    for *output, source in map(dict.values, db.read("edges", columns, runs=runs)):
        into.setdefault((output[0], output[1], output[2]), []).append(source)
    said = db.read(
        "facets",
        "run_id, namespace, name, value ->> '$.modelId' AS model_id, value ->> '$.partIds[*]' AS part_ids",
        runs=runs,
        where="scope = 'output' AND key = 'modelTrail_model' AND value ->> '$.modelId' IS NOT NULL",
    )
    called = {key_of(row): row for row in said}
    for row in rows:
        row["made_of"] = into.get(key_of(row), [])
        model = called.get(key_of(row), {}) if row["role"] == "output" else {}
        row |= {name: model.get(name) for name in ("model_id", "part_ids")}


def names_of(links: Collection[str] | None) -> list[Name]:
    """The datasets in a column like `identities` (the other names of a dataset: symlinks) or `made_of`."""
    return [(namespace, name) for namespace, _, name in (link.partition("\t") for link in links or ())]


def symlinks_of(row: Row) -> list[dict[str, str]]:
    """The other names of what a row of `run_datasets` is about."""
    return [{"namespace": namespace, "name": name} for namespace, name in names_of(row["identities"])]


LED_TO: Final = "its path led to"
SAME_BYTES: Final = "the same bytes as"
"""The words that stand before such a file, in whatever tells of it."""


def led_to(thing: Row) -> list[str]:
    """The files that the path of a file led to, as its reader says: it is, or lies behind, a symbolic link.

    `thing` has `symlinks`, objects of namespace and name.
    """
    if thing["namespace"] != "file":
        return []
    return sorted(link["name"] for link in thing["symlinks"] if link["namespace"] == "file")


def edges(rows: Iterable[Row]) -> Iterator[tuple[Key, Key]]:
    """(input, output): what went into what, in these runs; an input by the name that it was read by.

    A producer may say of what an output was made by another name of that.
    """
    rows = [*rows]
    called: dict[Key, list[Key]] = {}
    for row in (row for row in rows if row["role"] == "input"):
        for name in names_of(row["identities"]):
            called.setdefault((row["run_id"], *name), []).append(key_of(row))
    called |= {key_of(row): [key_of(row)] for row in rows}
    for row in rows:
        for name in names_of(row["made_of"]):
            source = (row["run_id"], *name)
            yield from ((one, key_of(row)) for one in called.get(source, [source]))


def leading(rows: Sequence[Row]) -> Iterator[tuple[Key, Key]]:
    """The edges that questions follow: a model that a run itself put out leads to its other models only.

    An evaluation inside of the run reads it too.
    """
    own, made = own_models(rows), put_out(rows)
    for source, output in edges(rows):
        if source not in own or (output in made and source != output):
            yield source, output


def models_of(rows: Iterable[Row]) -> dict[str, int]:
    """How many models each run made, by its outputs: by their content, since one may have several names.

    What a run calls the same is one in several forms. Of a producer that tells no content by their names,
    without those that are said to be another name of one.
    """
    contents: dict[str, set[str]] = {}
    called: dict[str, set[Name]] = {}
    again: dict[str, set[Name]] = {}
    for row in rows:
        if row["role"] == "output" and row["kind"] == "model":
            called.setdefault(row["run_id"], set()).add((row["namespace"], row["name"]))
            again.setdefault(row["run_id"], set()).update(names_of(row.get("identities")))
            known = [row.get("model_id") or row["fingerprint"]] if row["fingerprint"] else []
            contents.setdefault(row["run_id"], set()).update(known)
    return {
        run_id: len(contents[run_id] or names - again[run_id] or {run_id}) for run_id, names in called.items()
    }


def apart(rows: Sequence[Row]) -> dict[tuple[str, ...], Apart]:
    """The models that runs tell apart from the others that they made: by their names, and by digest.

    Not several versions of one name: what each of them learned from nobody can say.
    """
    called = {(key_of(row), row["model_id"]) for row in rows if row["model_id"] is not None}
    of_name = Counter(key for key, _ in called)
    told = [row for row in rows if row["model_id"] is not None and of_name[key_of(row)] == 1]
    found: dict[tuple[str, ...], Apart] = {
        key_of(row): (*key_of(row), frozenset((row["model_id"], *(row["part_ids"] or ())))) for row in told
    }
    for row in told:
        if row["fingerprint"]:
            found.setdefault((row["run_id"], row["fingerprint"]), found[key_of(row)])
    return found


def replaced(rows: Iterable[Row]) -> set[Key]:
    """The outputs that each were made of what their run had read under the same name, and wrote over."""
    return {output for source, output in edges(rows) if source == output}


def unused(rows: Sequence[Row]) -> dict[Key, list[Row]]:
    """Output -> what its run read, nobody saw what for, and so may have gone into it.

    That is data of the role `other`: for the models of a run that from which no line leads to them (also
    through what the run wrote and read again), for the outputs of a run without models that from which none
    leads anywhere. For these a model that was loaded is one too: it may have predicted them; for a model just
    one whose reader does not see what becomes of it: a module may have taught another one. Of a model on
    nothing but data in memory, which was read somewhere, it is also what other models learned from. And it is
    what the run itself says may have gone into an output.
    """
    in_memory = {row["run_id"] for row in rows if row["namespace"] == IN_MEMORY}
    read: dict[str, list[Row]] = {}
    for row in rows:
        is_data = row["kind"] == "dataset" and row["run_id"] in in_memory and row["use"] in LEARNED_FROM
        if row["role"] == "input" and (is_data or (row["use"] == "other" and row["kind"] in _THINGS)):
            read.setdefault(row["run_id"], []).append(row)
    concerned = [row for row in rows if row["run_id"] in read]
    into: dict[Key, set[Key]] = {}
    for source, output in edges(concerned):
        into.setdefault(output, set()).add(source)
    used = set().union(*into.values())
    listed = {key_of(row) for row in concerned if row["role"] == "input"}
    outputs = [row for row in concerned if row["role"] == "output"]
    models = {key_of(row) for row in outputs if row["kind"] == "model"}
    making = {run_id for run_id, *_ in models}
    found: dict[Key, list[Row]] = {}
    for output in map(key_of, outputs):
        if output in models or output[0] not in making:
            known = models | (_before(output, into, listed) if output in models else {output, *used})
            may_be = _may_be(read[output[0]], into.get(output, ()), is_model=output in models)
            found[output] = [row | {"use": "other"} for row in may_be if key_of(row) not in known]
    _add_said(rows, into, found)
    return found


def _add_said(rows: Sequence[Row], into: Mapping[Key, set[Key]], found: dict[Key, list[Row]]) -> None:
    """Among what may have gone into outputs what their run says so of, if no line leads from it to them."""
    outputs = {key_of(row) for row in rows if row["role"] == "output"}
    for row in (row for row in rows if row["role"] == "input"):
        for name in names_of(row["possible_outputs"]):
            output = (row["run_id"], *name)
            if output in outputs and key_of(row) not in into.get(output, ()):
                several = found.setdefault(output, [])
                if not any(key_of(row) == key_of(each) for each in several):
                    several.append(row | {"use": "other"})


def _may_be(read: list[Row], sources: Collection[Key], *, is_model: bool) -> list[Row]:
    """What of that which a run read may have gone into an output, which is known to have these sources."""
    is_lost = is_model and bool(sources) and all(namespace == IN_MEMORY for _, namespace, _ in sources)
    return [
        row
        for row in read
        if (
            row["use"] == "other"
            and row["followed"] is not True
            and (row["followed"] is False or not is_model or row["kind"] == "dataset")
        )
        or (is_lost and row["kind"] == "dataset" and row["namespace"] != IN_MEMORY)
    ]


def _before(output: Key, into: dict[Key, set[Key]], through: set[Key]) -> set[Key]:
    """What lines lead from to an output, through these too."""
    found, waiting = {output}, [output]
    while waiting:
        fresh = into.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh & through
    return found
