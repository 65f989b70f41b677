"""What changed in the data: the two trails side by side, from what was fitted on up to the raw feeds.

A dataset of the older trail stands beside the one of the newer trail that is the same thing
(`tables.pairing`); what nothing else tells, by who read it as what.

A changed dataset is a *symptom* where something that it was made from changed too: an input of the run that
wrote it, or, for what a run held in memory, a file that the same run read. What changed and is no symptom is
where the change came in.
"""

from collections import Counter
from typing import Any

import msgspec

from modeltrail_collector.answers import carried
from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.places import led_to, symlinks_of
from modeltrail_collector.answers.why import drift
from modeltrail_collector.answers.why.drift import Drift
from modeltrail_collector.answers.why.facts import Place, Said, Story, nodes
from modeltrail_collector.tables import pairing
from modeltrail_collector.tables.differences import as_list
from modeltrail_collector.tables.pairing import IN_MEMORY, Content

_Identity = tuple[str, str]
Field = tuple[str, str, str]
"""Namespace and name of a dataset, and a column of it."""


class Read(msgspec.Struct, eq=False):
    """A dataset as the runs of a trail read it; `depth` 1 is what the model itself was made from.

    `algorithm` and `scope` are those of its fingerprint; `features` are the columns that its reader learned
    from, with the label; `made_of` says of which columns each of its own was made, where that is recorded,
    and `by` which ones decided about its rows.
    `links` are its other names, as that of the file behind a symbolic link.
    `possible`: its readers read it, and nobody saw what for. `writers` are the run that wrote it, or those
    that wrote what lay in a folder, by their ids.
    """

    namespace: str
    name: str
    use: str | None
    version: str | None
    fingerprint: str | None
    algorithm: str | None
    scope: str | None
    rows: int | None
    reader: Row
    readers: set[str]
    writers: dict[str, Row]
    depth: int
    profile: Said | None
    schema: dict[str, str | None]
    features: frozenset[str]
    made_of: dict[str, list[Field]]
    by: list[Field]
    links: list[str]
    possible: bool
    place: Place | None

    @property
    def called(self) -> set[_Identity]:
        """What its producers may call it."""
        return {(self.namespace, self.name), *(("file", link) for link in self.links)}

    @property
    def names(self) -> set[str]:
        """Its columns, as far as anybody named them."""
        return {*self.schema, *self.columns, *self.features}

    @property
    def columns(self) -> dict[str, Any]:
        """The profile of each column; empty where none was recorded."""
        told = self.profile.value.get("columns") if self.profile else None
        return told if isinstance(told, dict) else {}

    @property
    def content(self) -> Content | None:
        """Which content it had, as far as anybody said."""
        how = f"{self.algorithm} {self.scope}"
        return pairing.content(self.namespace, self.name, self.fingerprint, self.version, how)


class Pair(msgspec.Struct, eq=False):
    """A dataset in both trails, or in one of them.

    `change` is same, changed, replaced (under another name), added, removed, or unknown: nobody said which
    content it had. `causes` are the pairs that it is a symptom of.
    """

    before: Read | None
    after: Read | None
    change: str
    drifts: list[Drift] = []
    columns_added: list[str] = []
    columns_removed: list[str] = []
    types: list[dict[str, str | None]] = []
    causes: list["Pair"] = []

    @property
    def either(self) -> Read:
        """The newer side, where there is one."""
        found = self.after or self.before
        assert found is not None  # noqa: S101  one of them is there
        return found

    @property
    def differs(self) -> bool:
        """Whether its content is known to differ."""
        return self.change not in {"same", "unknown"}

    @property
    def possible(self) -> bool:
        """Whether nobody saw on either side what it was read for."""
        return all(side.possible for side in (self.before, self.after) if side)

    @property
    def profiled(self) -> bool:
        """Whether both sides have a profile."""
        return bool(self.before and self.after and self.before.profile and self.after.profile)


def compare(before: Story, after: Story) -> list[Pair]:
    """Every dataset of the two trails, those that the model was made from first."""
    old, new = (_reads(story) for story in (before, after))
    pairs = [_pair(was, now) for was, now in pairing.datasets(old, new, by=_reader)]
    pairs.sort(key=lambda pair: (pair.either.depth, pair.either.namespace == IN_MEMORY, pair.either.name))
    for pair in pairs:
        if pair.differs:
            pair.causes = [one for one in made_from(pair, pairs) if one.differs]
    return pairs


def files_of(before: tuple[Story, str], after: tuple[Story, str]) -> list[Pair]:
    """The files that two runs read, each a story and a run id of it, side by side."""
    old, new = (
        [
            _read(
                story,
                {"run_id": run_id},
                row | {"run": None, "inputs": [], "possible": False, "symlinks": symlinks_of(row)},
                1,
            )
            for row in story.datasets.get(run_id, ())
            if (row["role"], row["kind"]) == ("input", "dataset") and row["namespace"] != IN_MEMORY
        ]
        for story, run_id in (before, after)
    )
    return [_pair(was, now) for was, now in pairing.datasets(old, new)]


def roots(pair: Pair) -> list[Pair]:
    """Where the change of a pair came in: itself, unless it is a symptom."""
    found: dict[int, Pair] = {}
    seen: set[int] = set()
    waiting = [pair]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        waiting += one.causes
        if not one.causes:
            found[id(one)] = one
    return list(found.values())


def _reads(story: Story) -> list[Read]:
    """What the runs of a trail read, each dataset once: the nearest reading, of the versions that it read."""
    depth = {id(story.trail): 0}
    found: dict[tuple[str | None, ...], Read] = {}
    several = _of_several_versions(story)
    for node in nodes(story.trail):
        for child in node["inputs"]:
            if node["run"] is None:  # a part of a folder, which is what was read
                depth[id(child)] = depth[id(node)]
                continue
            depth[id(child)] = depth[id(node)] + 1
            identity: tuple[str | None, ...] = (child["namespace"], child["name"])
            if (node["run"]["run_id"], *identity) in several:
                identity += (child["version"],)
            if child["kind"] != "dataset":
                continue
            if (known := found.get(identity)) is not None:
                known.readers.add(node["run"]["run_id"])
                known.possible &= child["possible"]
                if known.reader["run_id"] == node["run"]["run_id"]:  # who wrote it before a run that failed
                    known.writers |= _writers(child)
            else:
                found[identity] = _read(story, node["run"], child, depth[id(child)])
    return list(found.values())


def _of_several_versions(story: Story) -> set[tuple[str, str, str]]:
    """The datasets of which a run read several versions."""
    read = Counter(
        (run_id, row["namespace"], row["name"])
        for run_id, rows in story.datasets.items()
        for row in rows
        if row["role"] == "input"
    )
    return {of for of, count in read.items() if count > 1}


def _read(story: Story, reader: Row, node: dict[str, Any], depth: int) -> Read:
    profile = story.of_dataset(reader["run_id"], node, "modelTrail_featureProfile")
    schema = story.of_dataset(reader["run_id"], node, "schema")
    use = story.of_dataset(reader["run_id"], node, "modelTrail_dataUse")
    said = use or schema or profile
    lineage = story.of_dataset(node["run"]["run_id"], node, "columnLineage") if node["run"] else None
    return Read(
        namespace=node["namespace"],
        name=node["name"],
        use=node["use"],
        version=node["version"],
        fingerprint=node["fingerprint"],
        algorithm=_fingerprint(use).get("algorithm"),
        scope=_fingerprint(use).get("scope"),
        rows=node["rows"],
        reader=reader,
        readers={reader["run_id"]},
        writers=_writers(node),
        depth=depth,
        profile=profile,
        schema=_columns(schema),
        features=_features(use),
        made_of=_made_of(lineage),
        by=_fields(lineage.value.get("dataset")) if lineage else [],
        links=led_to(node),
        possible=node["possible"],
        place=said.place if said else None,
    )


def _writers(node: dict[str, Any]) -> dict[str, Row]:
    """The run that wrote this; of a folder those that wrote in it."""
    wrote = [one["run"] for one in ((node,) if node["run"] else node["inputs"])]
    return {run["run_id"]: run for run in wrote}


def _fingerprint(use: Said | None) -> dict[str, Any]:
    told = use.value.get("fingerprint") if use else None
    return told if isinstance(told, dict) else {}


def _columns(schema: Said | None) -> dict[str, str | None]:
    fields = schema.value.get("fields") if schema else None
    return {
        field["name"]: field["type"] if isinstance(field.get("type"), str) else None
        for field in (fields if isinstance(fields, list) else ())
        if isinstance(field, dict) and isinstance(field.get("name"), str)
    }


def _features(use: Said | None) -> frozenset[str]:
    told = use.value.get("features") if use else None
    if not isinstance(told, list):
        return frozenset()
    return carried.used(use.value) if use else frozenset()


def _made_of(lineage: Said | None) -> dict[str, list[Field]]:
    told = lineage.value.get("fields") if lineage else None
    return {
        column: _fields(field.get("inputFields"))
        for column, field in (told.items() if isinstance(told, dict) else ())
        if isinstance(field, dict)
    }


def _fields(told: Any) -> list[Field]:
    return [
        (str(each.get("namespace")), str(each.get("name")), str(each.get("field")))
        for each in as_list(told)
        if isinstance(each, dict)
    ]


def _reader(read: Read) -> object:
    """Who read it: what the model itself was made from is that whichever job made it."""
    return read.depth, None if read.depth == 1 else read.reader["job_name"]


def _pair(was: Read | None, now: Read | None) -> Pair:
    if was is None or now is None:
        return Pair(was, now, "removed" if now is None else "added")
    pair = Pair(was, now, _change(was, now))
    if was.schema and now.schema:
        pair.columns_added = [name for name in now.schema if name not in was.schema]
        pair.columns_removed = [name for name in was.schema if name not in now.schema]
        pair.types = [
            {"column": name, "before": kind, "after": now.schema[name]}
            for name, kind in was.schema.items()
            if kind and now.schema.get(name) and kind != now.schema[name]
        ]
    if pair.change == "same":
        return pair
    pair.drifts = drift.compare(was.columns, now.columns)
    return pair


def _change(was: Read, now: Read) -> str:
    same = pairing.same_content(was.content, now.content)
    if same and now.scope != "metadata":
        return "same"
    if (was.namespace, was.name) != (now.namespace, now.name):
        return "replaced"
    alike = was.rows == now.rows and was.schema == now.schema
    return "changed" if same is False or not alike else "unknown"


def sameness(pair: Pair) -> str:
    """What a fingerprint says that is the same on both sides, as a predicate: no more than that."""
    read = pair.either
    types = [f"{kind['column']} {kind['before']} → {kind['after']}" for kind in pair.types]
    other = f", with other types: {', '.join(types)}" if types else ""
    if read.scope == "sampled":
        return f"has the same content in the rows that were sampled{other}"
    if is_unordered(pair):
        return f"has the same rows{other}, in whatever order"
    return f"has the same content{other}"


def is_unordered(pair: Pair) -> bool:
    """Whether its fingerprint is that of its rows in whatever order."""
    return (pair.either.algorithm or "").startswith("modeltrail-rows")


def made_from(pair: Pair, pairs: list[Pair]) -> list[Pair]:
    """The pairs that this one was made from."""
    mine = pair.either
    if mine.writers:
        return [
            one
            for one in pairs
            if one is not pair and any(_went_in(one.either, run, mine) for run in mine.writers)
        ]
    if mine.namespace != IN_MEMORY:
        return []
    return [
        one
        for one in pairs
        if one.either.namespace != IN_MEMORY
        and mine.reader["run_id"] in one.either.readers
        and (mine.use is None or one.either.use in (mine.use, "other", None))
    ]


def _went_in(read: Read, run_id: str, written: Read) -> bool:
    """Whether a run that wrote this had read that for it.

    A run that reads what it wrote had it from elsewhere: else each is a symptom of the other.
    """
    if run_id not in read.readers:
        return False
    return run_id not in written.readers or (read.namespace != IN_MEMORY and run_id not in read.writers)


def inside(pair: Pair, pairs: list[Pair]) -> bool:
    """Whether it changed inside of the run that held it in memory: the files that this run read did not."""
    mine = pair.either
    if not pair.differs or pair.causes or mine.namespace != IN_MEMORY or mine.writers:
        return False
    beside = [one for one in pairs if mine.reader["run_id"] in one.either.readers]
    return any(one.change == "same" and one.either.namespace != IN_MEMORY for one in beside)


def told(pair: Pair) -> Row:
    """A pair as JSON; of its columns those that have something to tell, at most a hundred."""
    either = pair.either
    return {
        "namespace": either.namespace,
        "name": either.name,
        "use": either.use,
        "change": pair.change,
        "depth": either.depth,
        "read_by": either.reader["job_name"],
        "written_by": ", ".join(sorted({run["job_name"] for run in either.writers.values()})) or None,
        "before": _side(pair.before),
        "after": _side(pair.after),
        "columns_added": pair.columns_added,
        "columns_removed": pair.columns_removed,
        "types": pair.types,
        "compared_columns": sum(one.level != "unknown" for one in pair.drifts) if pair.profiled else None,
        "drift": [msgspec.structs.asdict(one) for one in pair.drifts if one.told][:100],
        "because_of": sorted({one.either.name for one in pair.causes}),
    }


def _side(read: Read | None) -> Row | None:
    if read is None:
        return None
    fields = ("name", "version", "fingerprint", "rows")
    said: Row = {field: getattr(read, field) for field in fields}
    return said | {"run_id": read.reader["run_id"], "profile": bool(read.profile), "source": read.place}
