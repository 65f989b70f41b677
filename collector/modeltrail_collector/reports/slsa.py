"""An in-toto statement with SLSA provenance: which run made the model's bytes, from what."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.errors import NotFound
from modeltrail_collector.reports import facts, materials, provenance
from modeltrail_collector.reports.gather import Dossier
from modeltrail_collector.reports.render import json_text

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "https://modeltrail.dev/provenance/training/v1"
UNCOMMITTED: Final = "uncommitted changes"
UNKNOWN: Final = "urn:modeltrail:not-recorded"

Descriptor = dict[str, Any]


def text(dossier: Dossier) -> str:
    """The statement, unsigned; all times in it are the run's own."""
    if dossier.maker is None:
        raise NotFound(
            f"which run made {dossier.name}@{dossier.version} is not recorded, and an attestation is of one"
        )
    run = dossier.story["run"] or {}
    return json_text(
        {
            "_type": STATEMENT,
            "subject": [{"name": f"{dossier.name}@{dossier.version}", "digest": materials.digest(dossier)}],
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    **_parameters(dossier),
                    "resolvedDependencies": list(_dependencies(dossier)),
                    **_known(modeltrail_preparedBy=list(_preparations(dossier))),
                },
                "runDetails": {
                    "builder": {"id": run.get("producer") or UNKNOWN},
                    "metadata": _known(
                        invocationId=dossier.model["run_id"],
                        startedOn=run.get("started_at"),
                        finishedOn=run.get("ended_at"),
                        modeltrail_state=run.get("state"),
                    ),
                    "byproducts": [
                        {"name": record.place, "digest": {"sha256": record.sha256}}
                        for record in dossier.evidence.records
                        if record.run_id == dossier.model["run_id"]
                    ],
                },
            },
        }
    )


def _parameters(dossier: Dossier) -> dict[str, Any]:
    """What the user chose, and what the library did."""
    code = dossier.story["code"] or {}
    params = dossier.story["params"] or ()
    chosen = {row["name"]: _typed(row) for row in params if row["origin"] != "default"}
    defaults = {row["name"]: _typed(row) for row in params if row["origin"] == "default"}
    job = (dossier.story["run"] or {}).get("job_name")
    return {
        "externalParameters": _known(
            job=job, entryPoint=code.get("entryPoint"), arguments=code.get("argv"), parameters=chosen
        ),
        "internalParameters": {"parameters": defaults},
    }


def _typed(row: Row) -> Any:
    """A parameter with its type: the tables keep its JSON as text."""
    if row["type"] not in {"int", "float", "bool", "array", "object"}:
        return row["value"]
    try:
        return json.loads(row["value"])
    except (TypeError, ValueError):
        return row["value"]


def _dependencies(dossier: Dossier) -> Iterator[Descriptor]:
    yield from (_descriptor(one) for one in materials.data(dossier) if one.is_read)
    yield from _code(dossier.story["code"] or {})
    yield from _environment(dossier)


def _preparations(dossier: Dossier) -> Iterator[dict[str, Any]]:
    """The builds of the dependencies: runs that prepared the data, each with its own."""
    known = [*materials.data(dossier), *materials.upstream(dossier)]
    for step in provenance.steps(dossier):
        code = facts.code_state(dossier, step.run_id) or {}
        read, written = (
            [_descriptor(known[number]) for number in materials.places(known, things)]
            for things in (step.reads, step.writes)
        )
        yield _known(
            job=step.job,
            invocationId=step.run_id,
            startedOn=step.started_at,
            finishedOn=step.ended_at,
            entryPoint=code.get("entryPoint"),
            arguments=code.get("argv"),
            resolvedDependencies=[*read, *_code(code)],
            outputs=written,
        )


def _descriptor(one: materials.Material) -> Descriptor:
    return _known(
        name=one.name,
        uri=one.uri,
        digest={one.algorithm or "fingerprint": one.digest} if one.digest else None,
        annotations=_known(role=one.role, version=one.version, rows=one.rows),
    )


def _code(code: Mapping[str, Any]) -> Iterator[Descriptor]:
    commit = code.get("commit") or (code.get("location") or {}).get("version")
    if commit:
        yield _known(name="source", uri=materials.source(code), digest={"gitCommit": commit})
    if code.get("diffSha256"):
        changed = _known(files=facts.changed_files(code))
        yield _known(name=UNCOMMITTED, digest={"sha256": code["diffSha256"]}, annotations=changed)
    if code.get("sourceSha256"):
        yield {"name": str(code.get("entryPoint") or "source"), "digest": {"sha256": code["sourceSha256"]}}
    for file in facts.items(code.get("untracked")):
        if isinstance(file, dict) and file.get("sha256"):
            yield {"name": str(file.get("path")), "digest": {"sha256": file["sha256"]}}


def _environment(dossier: Dossier) -> Iterator[Descriptor]:
    environment = dossier.story["environment"] or {}
    container = environment.get("container")
    if isinstance(container, dict) and container.get("digest"):
        algorithm, _, digest = str(container["digest"]).rpartition(":")
        yield _known(name=container.get("image"), digest={algorithm or "sha256": digest})
    for package in materials.packages(dossier):
        said = _known(installationRecordSha256=package.record_sha256)
        yield _known(name=package.name, uri=package.purl.to_string(), annotations=said)


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, {}, [])}
