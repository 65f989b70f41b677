"""A CycloneDX bill of materials of a model (ML-BOM).

Components are those of cyclonedx-python-lib; its model has no model card, no data and no formulation yet,
which are added as the specification writes them. The whole is checked by the library's schema, but not by
its validator: jsonschema, with the formats, takes three times the CPU of all the rest to be imported.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion, _res

from modeltrail_collector.reports import facts, materials, provenance
from modeltrail_collector.reports.document import NOT_RECORDED
from modeltrail_collector.reports.gather import Dossier
from modeltrail_collector.reports.materials import LEARNED
from modeltrail_collector.reports.render import json_text

MODEL: Final = "model"
RECORD: Final = "installation-record-sha256"
APPROACHES: Final = frozenset(
    {"supervised", "unsupervised", "reinforcement-learning", "semi-supervised", "self-supervised"}
)
CONSIDERATIONS: Final = {
    "users": "users",
    "useCases": "intended_use",
    "technicalLimitations": "limitations",
    "performanceTradeoffs": "trade_offs",
}


def text(dossier: Dossier, made_at: str, version: SchemaVersion = SchemaVersion.V1_6) -> str:
    """The bill of materials in a version of the specification."""
    data = materials.data(dossier)
    known = [*data, *materials.upstream(dossier)]
    bom = _bom(dossier, made_at, known)
    document: dict[str, Any] = json.loads(make_outputter(bom, OutputFormat.JSON, version).output_as_string())
    document["metadata"]["component"]["modelCard"] = _card(dossier, data)
    for component in document.get("components", ()):
        if component["type"] == "data":
            component["data"] = [_contents(known[int(component["bom-ref"].partition("-")[2])])]
    workflows = [*_preparations(dossier, known), *([_training(dossier, data)] if dossier.maker else [])]
    if workflows:
        document["formulation"] = [{"workflows": workflows}]
    written = json_text(document)
    validator(version).validate(json.loads(written))
    return written


def validator(version: SchemaVersion) -> jsonschema_rs.Draft7Validator:
    """As `JsonStrictValidator` of the library has it; a document that breaks the schema is a bug of ours."""
    files = {
        "spdx": _res.SPDX_JSON,
        "cryptography-defs": _res.CRYPTOGRAPHY_DEFS,
        "jsf-0.82": _res.JSF,
    }
    parts = [
        (f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", json.loads(Path(file).read_bytes()))
        for name, file in files.items()
    ]
    schema = _res.BOM_JSON_STRICT[version]
    assert schema is not None  # noqa: S101  of versions before 1.2
    return jsonschema_rs.Draft7Validator(
        json.loads(Path(schema).read_bytes()), registry=jsonschema_rs.Registry(parts), validate_formats=True
    )


def _bom(dossier: Dossier, made_at: str, known: list[materials.Material]) -> Bom:
    model = _model(dossier)
    bom = Bom(
        serial_number=materials.identity(dossier, made_at, "cyclonedx"),
        metadata=BomMetaData(
            timestamp=datetime.fromisoformat(made_at),
            component=model,
            tools=ToolRepository(
                components=[
                    Component(
                        name="modeltrail",
                        version=metadata.version("modeltrail"),
                        type=ComponentType.APPLICATION,
                    )
                ]
            ),
        ),
    )
    data = [_data(number, one) for number, one in enumerate(known)]
    packages = [_package(number, one) for number, one in enumerate(materials.packages(dossier))]
    for part in (*data, *packages):
        bom.components.add(part)
    learned = {*LEARNED, None}
    made_of = [part for one, part in zip(known, data, strict=True) if one.is_read and one.role in learned]
    bom.register_dependency(model, [*made_of, *packages])
    for step in provenance.steps(dossier):
        sources = [data[place] for place in materials.places(known, step.reads)]
        for place in materials.places(known, step.writes):
            bom.register_dependency(data[place], sources)
    return bom


def _model(dossier: Dossier) -> Component:
    row = dossier.model
    sha256 = row["digest"] if row["digest_algorithm"] == "sha256" else None
    licences = dossier.said.get("license", ())
    factory = LicenseFactory()
    properties = {
        "identity": f"{row['namespace']} {row['name']}",
        **({} if sha256 else {"digest": row["digest"] and f"{row['digest_algorithm']}:{row['digest']}"}),
        "location": row["uri"],
        "run": dossier.maker,
        "records": dossier.evidence.answer,
        **dict(dossier.past),
    }
    return Component(
        name=dossier.name,
        version=dossier.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=MODEL,
        description=dossier.said["description"][0].text if dossier.said.get("description") else None,
        hashes=_hashes(sha256),
        licenses=[
            factory.make_from_string(
                licences[0].text, license_acknowledgement=LicenseAcknowledgement.DECLARED
            )
        ]
        if licences
        else (),
        properties=_properties(properties),
    )


def _data(number: int, one: materials.Material) -> Component:
    told: dict[str, object] = {"role": one.role, "rows": one.rows}
    if not one.sha256:
        told["fingerprint"] = one.digest and f"{one.algorithm}:{one.digest}"
    return Component(
        name=one.name,
        version=one.version,
        type=ComponentType.MACHINE_LEARNING_MODEL if one.is_model else ComponentType.DATA,
        bom_ref=_ref(number),
        hashes=_hashes(one.sha256),
        properties=_properties(told),
    )


def _ref(number: int) -> str:
    """The reference of a dataset, by its place among the materials."""
    return f"data-{number}"


def _package(number: int, one: materials.Package) -> Component:
    return Component(
        name=one.name,
        version=one.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"package-{number}",
        purl=one.purl,
        properties=_properties({RECORD: one.record_sha256} if one.record_sha256 else {}),
    )


def _hashes(sha256: str | None) -> tuple[HashType, ...]:
    return (HashType(alg=HashAlgorithm.SHA_256, content=sha256),) if sha256 else ()


def _properties(told: Mapping[str, object]) -> list[Property]:
    return [
        Property(name=f"modeltrail:{name}", value=NOT_RECORDED if value is None else str(value))
        for name, value in told.items()
    ]


def _contents(one: materials.Material) -> dict[str, Any]:
    columns = [{"name": "modeltrail:column", "value": column} for column in one.columns]
    contents: dict[str, Any] = {"url": one.uri} if one.uri else {}
    contents |= {"properties": columns} if columns else {}
    return {"type": "dataset", "name": one.name} | ({"contents": contents} if contents else {})


def _card(dossier: Dossier, data: list[materials.Material]) -> dict[str, Any]:
    metrics = [
        {"type": one.name, "value": str(one.value)} | ({"slice": one.of} if one.of else {})
        for one in materials.figures(dossier)
    ]
    considerations: dict[str, Any] = {
        name: [one.text for one in dossier.said[topic]]
        for name, topic in CONSIDERATIONS.items()
        if dossier.said.get(topic)
    }
    if ethics := (*dossier.said.get("ethics", ()), *dossier.said.get("risks", ())):
        considerations["ethicalConsiderations"] = [{"name": one.text} for one in ethics]
    return {
        "modelParameters": _parameters(dossier, data),
        **({"quantitativeAnalysis": {"performanceMetrics": metrics}} if metrics else {}),
        **({"considerations": considerations} if considerations else {}),
        "properties": _card_properties(dossier),
    }


def _parameters(dossier: Dossier, data: list[materials.Material]) -> dict[str, Any]:
    training = facts.facet(dossier, "modelTrail_training") or {}
    about = facts.facet(dossier, "modelTrail_model") or {}
    signature = about["signature"] if isinstance(about.get("signature"), dict) else {}
    approach = training.get("learningApproach") if training.get("learningApproach") in APPROACHES else None
    told: dict[str, Any] = {
        "approach": {"type": approach} if approach else None,
        "task": _text(training.get("task") or about.get("task")),
        "modelArchitecture": _text(about.get("architecture") or training.get("algorithm")),
        "datasets": [{"ref": _ref(number)} for number, one in enumerate(data) if not one.is_model],
    }
    for side in ("inputs", "outputs"):
        told[side] = [
            {"format": f"{one.get('name')}: {one['type']}" if one.get("type") else str(one.get("name"))}
            for one in facts.items(signature.get(side))
            if isinstance(one, dict)
        ]
    return {name: value for name, value in told.items() if value}


def _text(value: object) -> str | None:
    return str(value) if value else None


def _card_properties(dossier: Dossier) -> list[dict[str, str]]:
    """Parameters; who said what people say; and what nobody said."""
    params = dossier.story["params"] or ()
    told = [(f"param:{row['name']}", "null" if row["value"] is None else str(row["value"])) for row in params]
    for topic, several in dossier.said.items():
        told += [
            (
                f"declared:{topic}",
                f"by {one.author or NOT_RECORDED} on {one.date or NOT_RECORDED} ({one.origin})",
            )
            for one in several
        ]
    missing = [topic for topic in ("license", *CONSIDERATIONS.values()) if not dossier.said.get(topic)]
    missing += [one.name for one in facts.training(dossier) if one.value is None]
    told += [(f"{NOT_RECORDED.replace(' ', '-')}", name) for name in missing]
    return [{"name": f"modeltrail:{name}", "value": value} for name, value in told]


def _preparations(dossier: Dossier, known: list[materials.Material]) -> Iterator[dict[str, Any]]:
    """The runs that prepared the data, as workflows."""
    for step in provenance.steps(dossier):
        run: dict[str, Any] = {"run_id": step.run_id, "job_name": step.job}
        run |= {"started_at": step.started_at, "ended_at": step.ended_at, "state": step.state}
        read, written = (materials.places(known, things) for things in (step.reads, step.writes))
        code = facts.code_state(dossier, step.run_id) or {}
        yield _workflow("other", run, code, map(_ref, read), map(_ref, written))


def _training(dossier: Dossier, data: list[materials.Material]) -> dict[str, Any]:
    """The training as a workflow."""
    read = [_ref(number) for number, one in enumerate(data) if one.is_read]
    run = (dossier.story["run"] or {}) | {"run_id": dossier.model["run_id"]}
    return _workflow("build", run, dossier.story["code"] or {}, read, [MODEL])


def _workflow(
    kind: str,
    run: Mapping[str, Any],
    code: Mapping[str, Any],
    inputs: Iterable[str],
    outputs: Iterable[str],
) -> dict[str, Any]:
    """A run as a workflow; how it ended and what is known of its code are properties."""
    said = {
        "state": run.get("state"),
        "source": materials.source(code),
        "commit": code.get("commit"),
        "uncommitted-changes-sha256": code.get("diffSha256"),
        "changed-files": ", ".join(facts.changed_files(code) or ()),
        "entry-point": code.get("entryPoint"),
    }
    told = {
        "bom-ref": f"run-{run['run_id']}",
        "uid": run["run_id"],
        "name": run.get("job_name"),
        "taskTypes": [kind],
        "timeStart": run.get("started_at"),
        "timeEnd": run.get("ended_at"),
        "inputs": [{"resource": {"ref": ref}} for ref in inputs],
        "outputs": [{"type": "artifact", "resource": {"ref": ref}} for ref in outputs],
        "properties": [
            {"name": f"modeltrail:{name}", "value": str(value)} for name, value in said.items() if value
        ],
    }
    return {name: value for name, value in told.items() if value}
