"""What a model was made of, as bills of materials and attestations name things: by URI and digest."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from packageurl import PackageURL

from modeltrail_collector.errors import NotFound
from modeltrail_collector.reports import provenance
from modeltrail_collector.reports.document import NOT_RECORDED, Identity, Thing
from modeltrail_collector.reports.document import identity as identity_of
from modeltrail_collector.reports.facts import items, slice_
from modeltrail_collector.reports.gather import EVALUATED, Dossier

LEARNED: Final = ("train", "validation", "calibration", "prompt")
TESTED: Final = ("test",)
_SAFE: Final = "/:@!$&'()*+,;=~-._"


Name = tuple[str, str]
"""Namespace and name."""


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of the trail read or wrote, with all of its `names`; what is in memory has no URI.

    `is_read` says that the making run read it: not what the model was evaluated on elsewhere, nor what its
    data was prepared from.
    """

    identity: Identity
    names: frozenset[Name]
    name: str
    uri: str | None
    role: str | None
    version: str | None
    rows: int | None
    algorithm: str | None
    digest: str | None
    columns: tuple[str, ...]
    is_model: bool
    is_read: bool = False

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of its bytes, where it is that."""
        return self.digest if self.algorithm == "sha256" else None


class Package(msgspec.Struct, frozen=True):
    """A Python package of the environment.

    `record_sha256` is the digest of its installation record, not of the artifact that its URL names.
    """

    name: str
    version: str
    record_sha256: str | None

    @property
    def purl(self) -> PackageURL:
        """Its package URL."""
        return PackageURL("pypi", name=self.name, version=self.version)


class Figure(msgspec.Struct, frozen=True):
    """A measured value; `of` is what it was measured on: the data, and behind a colon the part of it."""

    name: str
    value: Any
    of: str | None


def data(dossier: Dossier) -> list[Material]:
    """The datasets that the making run read, and those that it was tested on elsewhere."""
    algorithms, others = _algorithms(dossier), _others_of(dossier)
    models = {(one.namespace, one.name) for one in dossier.bases}
    found = [
        Material(
            identity=identity_of(row["namespace"], row["name"], row["fingerprint"], row["version"]),
            names=others[row["namespace"], row["name"]],
            name=row["name"],
            uri=uri(row["namespace"], row["name"]),
            role=row["use"],
            version=row["version"],
            rows=row["rows"],
            algorithm=algorithms.get((row["namespace"], row["name"])),
            digest=row["fingerprint"],
            columns=tuple(str(one["name"]) for one in row["columns"]),
            is_model=(row["namespace"], row["name"]) in models,
            is_read=True,
        )
        for row in dossier.story["data"] or ()
    ]
    known = {one.identity for one in found}
    tested = [
        thing
        for step in dossier.steps
        if EVALUATED in step.what or step.run_id == dossier.maker
        for thing in step.reads
        if thing.role in TESTED
    ]
    return found + _others(dossier, tested, known)


def upstream(dossier: Dossier) -> list[Material]:
    """What the runs that prepared its data read: the raw data, and what was prepared of it on the way."""
    first = {thing.identity for thing in dossier.raw}
    things = [
        msgspec.structs.replace(thing, role="raw" if thing.identity in first else "prepared")
        for step in provenance.steps(dossier)
        for thing in step.reads
    ]
    return _others(dossier, things, {one.identity for one in data(dossier)})


def places(among: Sequence[Material], things: Iterable[Thing]) -> list[int]:
    """Where these are in a list of materials, by any name: by content, and where one side's is not known."""
    wanted = [*things]
    return [number for number, one in enumerate(among) if any(_may_be(one, thing) for thing in wanted)]


def _may_be(one: Material, thing: Thing) -> bool:
    """Whether nothing tells the two apart: where neither has a digest, the versions may."""
    if one.names.isdisjoint(_names(thing)):
        return False
    pair = {one.digest, thing.digest}
    pair = {one.version, thing.version} if pair == {None} else pair
    return len(pair) == 1 or None in pair


def _others(dossier: Dossier, things: Iterable[Thing], known: set[Identity]) -> list[Material]:
    """Each of them once, but for those that are known."""
    algorithms, others = _algorithms(dossier), _others_of(dossier)
    return [
        Material(
            identity=identity,
            names=others[identity[:2]] | _names(thing),
            name=thing.name,
            uri=uri(thing.namespace, thing.name),
            role=thing.role,
            version=thing.version if thing.version != thing.digest else None,
            rows=thing.rows,
            algorithm=algorithms.get((thing.namespace, thing.name)),
            digest=thing.digest,
            columns=(),
            is_model=thing.kind == "model",
        )
        for identity, thing in {thing.identity: thing for thing in things}.items()
        if identity not in known
    ]


def _others_of(dossier: Dossier) -> dict[Name, frozenset[Name]]:
    """By each name of what was read or written all of its names."""
    found: defaultdict[Name, frozenset[Name]] = defaultdict(frozenset)
    for step in dossier.steps:
        for thing in (*step.reads, *step.writes):
            found[thing.namespace, thing.name] |= _names(thing)
    return found


def _names(thing: Thing) -> frozenset[Name]:
    return frozenset({(thing.namespace, thing.name), *thing.others})


def _algorithms(dossier: Dossier) -> dict[tuple[str, str], Any]:
    return {
        (row["namespace"], row["name"]): value["fingerprint"].get("algorithm")
        for row, value in dossier.everywhere("modelTrail_dataUse")
        if isinstance(value.get("fingerprint"), dict)
    }


def source(code: Mapping[str, Any]) -> str | None:
    """The URI of a commit in its repository, of what a run said of its code; None where either is missing."""
    location = code.get("location") or {}
    repository, commit = location.get("repoUrl"), code.get("commit") or location.get("version")
    return f"git+{repository}@{commit}" if repository and commit else None


def packages(dossier: Dossier) -> list[Package]:
    """The packages of the environment, each once."""
    found = items((dossier.story["environment"] or {}).get("packages"))
    known = {
        (str(one["name"]), str(one["version"])): Package(
            str(one["name"]), str(one["version"]), one.get("sha256")
        )
        for one in found
        if isinstance(one, dict) and one.get("name") and one.get("version")
    }
    return [known[key] for key in sorted(known)]


def figures(dossier: Dossier) -> list[Figure]:
    """What evaluations gave, then what the run itself measured of this model, or of its only one."""
    return [
        Figure(row["name"], row["value"], ": ".join(filter(None, _measured_on(row))) or None)
        for row in (*(dossier.story["evaluations"] or ()), *(dossier.story["metrics"] or ()))
        if row["value"] is not None and row.get("own", True)
    ]


def _measured_on(row: dict[str, Any]) -> tuple[str | None, str | None]:
    """The data, and the part of it."""
    return row["dataset"] or row.get("split"), slice_(row["slice"])


def statement(dossier: Dossier, topic: str) -> str | None:
    """What people say about a topic, each with author and date; None where nobody does."""
    said = dossier.said.get(topic, ())
    return (
        "\n".join(
            f"{one.text} (declared by {one.author or NOT_RECORDED} on {one.date or NOT_RECORDED})"
            for one in said
        )
        or None
    )


def uri(namespace: str, name: str) -> str | None:
    """The URI of a dataset by its OpenLineage name; None for what is only in memory."""
    if namespace.startswith("inmemory"):
        return None
    if namespace == "file":
        return "file://" + quote(name, safe=_SAFE)
    return quote(f"{namespace.rstrip('/')}/{name.lstrip('/')}", safe=_SAFE)


def digest(dossier: Dossier) -> dict[str, str]:
    """The model's digest by its algorithm.

    Raises NotFound where none was recorded: an attestation is about bytes.
    """
    model = dossier.model
    if not model["digest"]:
        raise NotFound(
            f"no digest of {dossier.name}@{dossier.version} was recorded, and an attestation is about one: "
            "record the model's file with `run.output_model(path)`"
        )
    return {model["digest_algorithm"] or "sha256": model["digest"]}


def identity(dossier: Dossier, made_at: str, kind: str) -> uuid.UUID:
    """The id of a document: the same for the same model, statements and time of making."""
    file = dossier.file.sha256 if dossier.file else ""
    model = dossier.model
    parts = (model["namespace"], model["name"], str(model["version"]), model["run_id"], file, made_at, kind)
    return uuid.uuid5(uuid.NAMESPACE_URL, "\0".join(parts))
