"""Single facts of a dossier, for every kind of report to choose from."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modeltrail_collector.answers.recipe import repository
from modeltrail_collector.answers.why.code import files
from modeltrail_collector.reports.document import Fact, Form
from modeltrail_collector.reports.gather import Dossier

Value = Mapping[str, Any]


def fact(dossier: Dossier, said: Value | None, name: str, path: str, form: Form = "text") -> Fact:
    """The fact at a dotted path of an answer of `show` or of a facet; None where nobody said it.

    An empty list was said: none.
    """
    value: Any = said
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if said is None or value is None or value == {}:
        return Fact(name=name, value=None, form=form)
    return Fact(name=name, value=value, form=form, capture=said.get("capture"), source=place(dossier, said))


def place(dossier: Dossier, said: Value) -> str | None:
    """The record that an answer of `show` comes from."""
    source = said.get("source")
    return dossier.places.name(source) if isinstance(source, dict) and source.get("topic") else None


def facet(dossier: Dossier, key: str, run: str | None = None) -> Value | None:
    """The first facet of this key of a run (None: that made the model), with its capture and source."""
    for row, value in dossier.about(key, run=run):
        return {"capture": None, **value, "source": row}
    return None


def model(dossier: Dossier) -> list[Fact]:
    """Which model this is."""
    row = dossier.model
    artifact, registration_ = dossier.story["artifact"], dossier.story["registration"]
    gone = registration_ and registration_["deleted"]
    bytes_ = {"capture": artifact.get("capture"), "source": place(dossier, artifact)} if artifact else {}
    given = (
        {"capture": registration_["capture"], "source": place(dossier, registration_)}
        if registration_
        else {}
    )
    return [
        Fact(name="name", value=dossier.name, **given),
        Fact(name="version", value=dossier.version, **given),
        Fact(name="identity", value=f"{row['namespace']} {row['name']}", form="code"),
        Fact(name="digest", value=row["digest"], form="code", **bytes_),
        Fact(name="digest algorithm", value=row["digest_algorithm"], **bytes_),
        Fact(name="size", value=row["size_bytes"], form="bytes", **bytes_),
        Fact(name="location", value=row["uri"], form="code", **bytes_),
        Fact(name="created at", value=row["created_at"] if dossier.maker else None, form="time"),
        *([Fact(name="saved after step", value=row["step"])] if row["step"] is not None else []),
        Fact(name="made by run", value=dossier.maker, form="code"),
        Fact(name="how that run ended", value=_ended(dossier)),
        Fact(name="aliases", value=_aliases(row["aliases"], gone and registration_["until_deleted"])),
        *_deleted(dossier, gone),
    ]


def _ended(dossier: Dossier) -> str | None:
    run = dossier.story["run"] or {}
    return ": ".join(filter(None, (run["state"], run["error"]))) if dossier.maker and run else None


def _deleted(dossier: Dossier, gone: Value | None) -> list[Fact]:
    if not gone:
        return []
    return [
        fact(dossier, gone, "deleted from its registry at", "at", "time"),
        fact(dossier, gone, "deleted by", "actor"),
    ]


def _aliases(held: list[str] | None, until: list[str] | None) -> object:
    if until:
        return f"{', '.join(until)}, until it was deleted"
    return "none any more" if held == [] else held


def registration(dossier: Dossier) -> list[Fact]:
    """How a registry came to know it."""
    said = dossier.story["registration"]
    again = said and said["other_bytes"]
    return [
        fact(dossier, said, "registry", "registry.uri", "code"),
        fact(dossier, said, "registered as", "name"),
        fact(dossier, said, "registered version", "version"),
        *([fact(dossier, said, "registered again, with other bytes", "other_bytes")] if again else []),
        fact(dossier, said, "registered at", "at", "time"),
        fact(dossier, said, "registered by", "actor"),
        fact(dossier, said, "approved by", "approval.by"),
        fact(dossier, said, "approval ticket", "approval.ticket"),
    ]


def training(dossier: Dossier) -> list[Fact]:
    """How it was trained."""
    said = facet(dossier, "modelTrail_training")
    about = facet(dossier, "modelTrail_model")

    def either(name: str) -> Value | None:
        return said if said and said.get(name) else about or said

    return [
        fact(dossier, either("algorithm"), "algorithm", "algorithm", "code"),
        fact(dossier, either("task"), "task", "task"),
        fact(dossier, said, "learning approach", "learningApproach"),
        fact(dossier, either("framework"), "framework", "framework"),
        fact(dossier, said, "framework version", "frameworkVersion"),
        fact(dossier, said, "base model", "baseModel", "code"),
        fact(dossier, said, "resumed from run", "resumedFromRunId", "code"),
        fact(dossier, said, "seeds", "seeds"),
        fact(dossier, said, "deterministic", "deterministic"),
        fact(dossier, said, "epochs", "epochs", "number"),
        fact(dossier, said, "steps", "steps", "number"),
        fact(dossier, about, "architecture", "architecture"),
        fact(dossier, about, "fitted parameters", "parameterCount", "number"),
    ]


def resources(dossier: Dossier) -> list[Fact]:
    """What was used to train it."""
    said, training_ = dossier.story["environment"], facet(dossier, "modelTrail_training")
    return [
        fact(dossier, said, "processor", "hardware.cpuModel"),
        fact(dossier, said, "processors", "hardware.cpuCount", "number"),
        fact(dossier, said, "memory", "hardware.memoryBytes", "bytes"),
        fact(dossier, said, "accelerators", "hardware.accelerators"),
        fact(dossier, training_, "distributed over", "distributed"),
        fact(dossier, training_, "training took", "wallTimeMs", "duration"),
        fact(dossier, training_, "energy (kWh)", "energyKWh", "number"),
        fact(dossier, training_, "CO₂ equivalent (kg)", "co2eKg", "number"),
    ]


def software(dossier: Dossier) -> list[Fact]:
    """The environment it was trained in."""
    said = dossier.story["environment"]
    return [
        fact(dossier, said, "Python", "python.version"),
        fact(dossier, said, "operating system", "os"),
        fact(dossier, said, "container image", "container.image", "code"),
        fact(dossier, said, "container digest", "container.digest", "code"),
        fact(dossier, said, "lock file", "lockfile", "code"),
        fact(dossier, said, "digest of all packages", "packagesSha256", "code"),
    ]


def code_state(dossier: Dossier, run: str) -> Value | None:
    """What a run of the trail said of its code, as `show` answers it of the one that made the model."""
    state, location = (facet(dossier, key, run) for key in ("modelTrail_codeState", "sourceCodeLocation"))
    said = state or (location and {"capture": None, "source": location["source"]})
    return said and {**said, "location": location or {}}


def code(dossier: Dossier, run: str | None = None) -> list[Fact]:
    """The code of a run; without one of that which made it."""
    said = code_state(dossier, run or dossier.model["run_id"])
    location, repositories = ((said or {}).get(key) for key in ("location", "repositories"))
    derived = said and {**said, "repository": _repository(said), "files": changed_files(said)}
    # Of what is under no version control nobody knows whether it was changed.
    if said and derived and not (said.get("vcs") or said.get("commit") or location):
        derived = {**derived, "dirty": None, "files": None}
    return [
        fact(dossier, derived, "repository", "repository", "code"),
        fact(dossier, location, "branch", "branch"),
        fact(dossier, said, "commit", "commit", "code")
        if said and said.get("commit")
        else fact(dossier, location, "commit", "version", "code"),
        fact(dossier, derived, "uncommitted changes", "dirty"),
        fact(dossier, derived, "changed files", "files"),
        fact(dossier, said, "digest of the changes", "diffSha256", "code"),
        fact(dossier, said, "untracked files", "untracked"),
        fact(dossier, said, "more untracked files than listed", "untrackedTruncated"),
        fact(dossier, said, "modules from outside of the repository", "elsewhere"),
        *([fact(dossier, said, "repositories of these", "repositories")] if repositories else []),
        fact(dossier, said, "entry point", "entryPoint", "code"),
        fact(dossier, said, "arguments", "argv", "code"),
        fact(dossier, said, "digest of the source", "sourceSha256", "code"),
    ]


def _repository(said: Value) -> str | None:
    location = said["location"]
    return repository(location.get("repoUrl"), location.get("url"), said.get("root"))


def changed_files(said: Value) -> list[str] | None:
    """`helpers.py +7 −1` for each file of the recorded diff; of one that is cut the names alone."""  # noqa: RUF002
    if said.get("dirty") is False:
        return []
    diff = said.get("diff")
    if not isinstance(diff, str) or not diff:
        return None
    if said.get("diffTruncated") is True:
        return [one["path"] for one in files(diff)]
    return [f"{one['path']} +{one['added']} −{one['removed']}" for one in files(diff)]  # noqa: RUF001


def items(value: Any) -> Sequence[Any]:
    """A producer may break a facet's schema and be kept (`warned`): what should be a list may be anything."""
    return value if isinstance(value, list) else []


def slice_(text: str | None) -> str | None:
    """A slice of the data as people write it: `plan = basic, region = 4`; None for all of it."""
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if not isinstance(found, dict):
        return text
    return ", ".join(f"{column} = {value}" for column, value in found.items()) or None
