"""Which runs read a dataset as another run wrote it: the step forwards, for many datasets at once."""

import itertools
import operator
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Final

import msgspec

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.places import (
    Key,
    Name,
    Places,
    key_of,
    leading,
    names_of,
    own_models,
    put_out,
)
from modeltrail_collector.answers.writers import Node, find_makers, find_writers

_Version = tuple[str, str, str, str | None]
"""Run id, namespace, name and version of what a run read."""
_Written = tuple[str | None, str | None]
"""A run, and which part of a folder it wrote; None where that is no folder."""


DIGEST: Final = "CASE WHEN role = 'output' THEN fingerprint END AS digest"
"""By which a copy is known, whatever it is called."""


class Thing(msgspec.Struct):
    """A dataset as one run wrote it, or as it was asked for; `columns` are those meant, None: all.

    `digest` is that by which a reader may know it alone, whatever it is called there. `depth` counts the runs
    from what was asked for to it.
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
    possible: bool = False
    digest: str | None = None
    depth: int = 0

    def aliases(self) -> set[Name]:
        """What a reader may call it: its names, and the folders that it lies in."""
        folders = [
            str(folder) for folder in PurePosixPath(self.name).parents if str(folder) not in {"/", "."}
        ]
        return {
            (self.namespace, self.name),
            *names_of(self.identities),
            *((self.namespace, folder) for folder in folders),
        }

    def digests(self) -> set[Name]:
        """What a reader calls it that knows it by its bytes alone."""
        return {_by_digest(self.digest)} if self.digest else set()


def written_as(db: Database, asked: Thing) -> list[Thing]:
    """What runs wrote under this name, and may be read by another: by one that they say, or by its bytes."""
    wrote = db.read(
        "mentions",
        "DISTINCT run_id",
        keys=[asked.name],
        where="how = 'name' AND role = 'output' AND (key_namespace, key) = ($namespace, $name)",
        namespace=asked.namespace,
        name=asked.name,
    )
    rows = db.read(
        "run_datasets",
        f"""run_id, namespace, name, version, fingerprint, {DIGEST},
            CASE WHEN kind = 'model' THEN [] ELSE identities END AS identities""",
        runs=[row["run_id"] for row in wrote],
        where="""role = 'output' AND (namespace, name) = ($namespace, $name)
            AND (digest IS NOT NULL OR (kind <> 'model' AND len(identities) > 0))""",
        then="ORDER BY run_id",
        namespace=asked.namespace,
        name=asked.name,
    )
    return [Thing(**row, columns=asked.columns) for row in rows]


def _by_digest(digest: str) -> Name:
    return "", digest


def readers(
    db: Database, things: list[Thing], places: Places, *, known: Collection[Key] | None = None
) -> list[tuple[Row, Thing]]:
    """The inputs of runs that are one of these things, each with one that it is.

    By what they are called; with `known` by their bytes alone, wherever these were copied to, but for inputs
    that are known.

    An input is a row of what the run says of it, with the times of the run; `recorded` is false where a
    version is asked for, and which one was read is not recorded.
    """
    by_name: dict[Name, _Called] = {}
    for place, thing in enumerate(things):
        for alias in thing.aliases() if known is None else thing.digests():
            is_own = alias == (thing.namespace, thing.name)
            by_name.setdefault(alias, _Called()).add(place, thing, by_own_name=is_own)
    rows = _reading(db, sorted(by_name), places, known or ())
    pairs = [
        (row, thing, _is_content(row, thing))
        for row in rows
        for thing in by_name[row["called"]].candidates(row)
    ]
    untold = {_version_of(row) for row, _, is_content in pairs if is_content is None}
    writers = _writers(db, [row for row in rows if _version_of(row) in untold], places)
    found = []
    for row, thing, is_content in pairs:
        is_read = (
            _is_written(row, thing, writers.get(_version_of(row), ())) if is_content is None else is_content
        )
        if is_read is not False:
            found.append((row | {"recorded": is_read is not None}, thing))
    return found


class _Called(msgspec.Struct):
    """The things that a name stands for, in their order: by their content, or by "" where that may be any."""

    things: dict[str, list[tuple[int, Thing]]] = {}

    def add(self, place: int, thing: Thing, *, by_own_name: bool) -> None:
        """Take up a thing."""
        is_one = by_own_name and not thing.any_version and thing.reader is None
        content = (thing.fingerprint or "") if is_one else ""
        self.things.setdefault(content, []).append((place, thing))

    def candidates(self, row: Row) -> list[Thing]:
        """Those that an input may be: all but those of its name that are known to be of another content.

        Of a dataset that was written a hundred times and read a hundred times the pairs are ten thousand.
        """
        groups = list(self.things.values())
        if row["fingerprint"] and row["called"] == (row["namespace"], row["name"]):
            groups = [self.things.get(content, []) for content in ("", row["fingerprint"])]
        return [thing for _, thing in sorted(itertools.chain(*groups), key=operator.itemgetter(0))]


def _reading(db: Database, wanted: list[Name], places: Places, known: Collection[Key]) -> list[Row]:
    """The inputs of runs that are called so, with their run's times; `called` is the name that was wanted.

    Those that are known are left out.

    What a run itself put out under this name (an evaluation inside of it) it did not learn from, unless it
    says that another model of its was made of it. Where it wrote over a model that it read, that is just what
    has the content of its own.
    """
    said = _mentioned(db, {name for _, name in wanted})
    among = set(wanted)
    read = [
        row for row in said if row["role"] == "input" and row["called"] in among and key_of(row) not in known
    ]
    said += _mentioned(db, {row["name"] for row in read} - {name for _, name in wanted})
    made = {key_of(row) for row in said if row["role"] == "output"}
    rows = places.of({run_id for run_id, *_ in {key_of(row) for row in read} & made})
    into_others = {source for source, output in leading(rows) if source != output}
    judged = own_models(rows) - into_others
    models = put_out(rows) - into_others
    outputs = [row for row in rows if row["role"] == "output" and key_of(row) in models]
    now = {(key_of(row), row["fingerprint"]) for row in outputs}
    found = [
        row for row in read if key_of(row) not in judged and (key_of(row), row["fingerprint"]) not in now
    ]
    return sorted(found, key=lambda row: (by_time(row["started_at"]), *key_of(row)))


def _mentioned(db: Database, names: Collection[str]) -> list[Row]:
    """What runs read under these names, and the models that they put out."""
    found = db.read(
        "mentions",
        """DISTINCT key_namespace, key, role, run_id, namespace, name, kind, version, fingerprint, use,
            started_at, first_event_at, last_event_at, wrote_at""",
        keys=names,
        where="""(role = 'input' AND how IN ('name', 'identity', 'loaded', 'digest'))
            OR (role = 'output' AND how = 'name' AND kind = 'model')""",
    )
    return [row | {"called": (row.pop("key_namespace"), row.pop("key"))} for row in found]


def by_time(text: str | None) -> tuple[bool, str]:
    """The order of times: what is not known comes last."""
    return text is None, text or ""


def _version_of(row: Row) -> _Version:
    return *key_of(row), row["version"]


def _writers(db: Database, rows: Iterable[Row], places: Places) -> dict[_Version, set[_Written]]:
    """The runs that wrote what each reader saw, as `trace` finds it."""
    nodes: dict[_Version, Node] = {}
    copied: list[Node] = []
    for row in rows:
        known = {name: row[name] for name in ("namespace", "name", "kind", "version", "fingerprint", "use")}
        before = row["started_at"] or row["last_event_at"]
        when = {"before": before, "until": row["wrote_at"]}
        node = nodes.setdefault(_version_of(row), Node(**known, reader=row["run_id"], **when))
        if row["called"] != _by_digest(row["fingerprint"]):
            node.symlinks = [*node.symlinks, row["called"]]
        else:
            copied.append(node)
    find_writers(db, list(nodes.values()), places)
    found = find_makers(db, copied, places)
    # What was written where it was read is no copy of the same that lies elsewhere.
    own = {id(node) for node in copied} - {id(node) for node in found}
    return {key: _written(node) for key, node in nodes.items() if id(node) not in own}


def _written(node: Node) -> set[_Written]:
    if node.parts:
        return {(row["run_id"], part) for part, row in node.parts.items()}
    return {(one.run["run_id"], None) for one in (node, *node.beside) if one.run}


def _is_content(row: Row, thing: Thing) -> bool | None:
    """Whether what a run read is this, by its content, else its version; None where they do not tell."""
    if thing.any_version or thing.reader == row["run_id"]:
        return True
    if _is_same_name(row, thing):
        for field in ("fingerprint", "version"):
            said, read = getattr(thing, field), row[field]
            if said and read:
                return bool(said == read)
    return None


def _is_written(row: Row, thing: Thing, writers: Collection[_Written]) -> bool | None:
    """Whether what a run read is this, by who wrote it before.

    None where its reader does not say which content it was, and nobody is known to have written it before.
    """
    if _is_same_name(row, thing) and not row["fingerprint"] and not writers and thing.run_id is None:
        return None
    return (thing.run_id, None) in writers or (thing.run_id, thing.name) in writers


def _is_same_name(row: Row, thing: Thing) -> bool:
    return (row["namespace"], row["name"]) == (thing.namespace, thing.name)
