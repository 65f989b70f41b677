"""An SPDX 3.0 document of a model: profiles AI, dataset, software and build.

Elements are those of spdx-python-model, which is generated from the specification and checks each property.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final

from spdx_python_model import v3_0_1 as spdx

from modeltrail_collector.reports import facts, materials, provenance
from modeltrail_collector.reports.document import NOT_RECORDED, Fact
from modeltrail_collector.reports.gather import Dossier
from modeltrail_collector.reports.materials import LEARNED, TESTED, Material
from modeltrail_collector.reports.render import json_text
from modeltrail_collector.reports.slsa import BUILD_TYPE

NOASSERTION: Final = "NOASSERTION"
PROFILES: Final = ("core", "software", "ai", "dataset", "build", "simpleLicensing")
_Presence: Final = spdx.PresenceType


def text(dossier: Dossier, made_at: str) -> str:
    """The document as JSON-LD."""
    writer = _Writer(dossier, made_at)
    writer.write()
    return json_text(spdx.JSONLDSerializer().serialize_data(writer.objects, force_at_graph=True))


class _Writer:
    """The elements of one document, which share their creation."""

    def __init__(self, dossier: Dossier, made_at: str) -> None:
        self.dossier = dossier
        self.prefix = f"https://spdx.org/spdxdocs/modeltrail-{materials.identity(dossier, made_at, 'spdx')}#"
        self.objects = spdx.SHACLObjectSet()
        self.elements: list[Any] = []
        self.creation = spdx.CreationInfo(specVersion="3.0.1", created=_time(made_at))
        version = metadata.version("modeltrail")
        self.creation.createdBy = [self.add("tool", spdx.SoftwareAgent, name=f"modeltrail {version}")]

    def add(self, anchor: str, kind: Any, **fields: Any) -> Any:
        """A new element; fields that are None are left out."""
        known = {key: value for key, value in fields.items() if value not in (None, [])}
        element = kind(spdxId=self.prefix + anchor, creationInfo=self.creation, **known)
        self.objects.add(element)
        self.elements.append(element)
        return element

    def relate(self, anchor: str, start: Any, kind: str, to: list[Any]) -> None:
        """A relationship, if there is anything to relate to."""
        if to:
            relation = getattr(spdx.RelationshipType, kind)
            self.add(f"relation-{anchor}", spdx.Relationship, from_=start, relationshipType=relation, to=to)

    def write(self) -> None:
        """All elements."""
        model = self._model()
        known = [*materials.data(self.dossier), *materials.upstream(self.dossier)]
        data = [(one, self._data(number, one)) for number, one in enumerate(known)]
        packages = [
            self.add(
                f"package-{number}",
                spdx.software_Package,
                name=one.name,
                software_packageVersion=one.version,
                software_packageUrl=one.purl.to_string(),
                comment=f"installation record sha256: {one.record_sha256}" if one.record_sha256 else None,
            )
            for number, one in enumerate(materials.packages(self.dossier))
        ]
        learned = [(one, made) for one, made in data if one.role in LEARNED]
        self.relate("trained-on", model, "trainedOn", [made for one, made in learned if not one.is_model])
        bases = [made for one, made in learned if one.is_model]
        self.relate("descendant-of", model, "descendantOf", bases)
        self.relate("tested-on", model, "testedOn", [made for one, made in data if one.role in TESTED])
        self.relate("depends-on", model, "dependsOn", packages)
        if licences := self.dossier.said.get("license"):
            expression = self.add(
                "licence",
                spdx.simplelicensing_LicenseExpression,
                simplelicensing_licenseExpression=licences[0].text,
                comment=materials.statement(self.dossier, "license"),
            )
            self.relate("declared-license", model, "hasDeclaredLicense", [expression])
        self._preparations(data)
        if self.dossier.maker:
            run = self._run("run", self.dossier.story["run"] or {}, self.dossier.story["code"] or {})
            self.relate("has-input", run, "hasInput", [made for one, made in data if one.is_read])
            self.relate("has-output", run, "hasOutput", [model])
        self.add(
            "document",
            spdx.SpdxDocument,
            name=f"{self.dossier.name}@{self.dossier.version}",
            rootElement=[model],
            element=[*self.elements],
            profileConformance=[getattr(spdx.ProfileIdentifierType, name) for name in PROFILES],
            comment="; ".join(
                [f"records of the log: {self.dossier.evidence.answer}", *map(" ".join, self.dossier.past)]
            ),
        )

    def _model(self) -> Any:
        dossier, row = self.dossier, self.dossier.model
        training = facts.facet(dossier, "modelTrail_training") or {}
        sha256 = row["digest"] if row["digest_algorithm"] == "sha256" else None
        other = f"{row['digest_algorithm']}:{row['digest']}" if row["digest"] and not sha256 else None
        provider = dossier.said.get("provider") or dossier.said.get("owner")
        return self.add(
            "model",
            spdx.ai_AIPackage,
            name=dossier.name,
            software_packageVersion=dossier.version,
            software_downloadLocation=row["uri"] or NOASSERTION,
            software_primaryPurpose=spdx.software_SoftwarePurpose.model,
            releaseTime=_time(row["created_at"]),
            suppliedBy=self.add("supplier", spdx.Agent, name=provider[0].text if provider else NOASSERTION),
            verifiedUsing=_hashes(sha256),
            comment=other,
            ai_typeOfModel=[str(training["algorithm"])] if training.get("algorithm") else None,
            ai_hyperparameter=[_entry(row["name"], row["value"]) for row in dossier.story["params"] or ()],
            ai_metric=[
                _entry(f"{one.name} ({one.of})" if one.of else one.name, one.value)
                for one in materials.figures(dossier)
            ],
            ai_informationAboutTraining=_told(facts.training(dossier)),
            ai_modelDataPreprocessing=list(_steps(dossier)),
            ai_limitation=materials.statement(dossier, "limitations"),
            ai_informationAboutApplication=materials.statement(dossier, "intended_use"),
            ai_standardCompliance=[one.text for one in dossier.said.get("standards", ())],
            ai_energyConsumption=_energy(training.get("energyKWh")),
            ai_autonomyType=_Presence.noAssertion,
            ai_useSensitivePersonalInformation=_Presence.noAssertion,
        )

    def _data(self, number: int, one: Material) -> Any:
        fingerprint = f"fingerprint {one.algorithm}: {one.digest}" if one.digest and not one.sha256 else None
        told = [
            f"role: {one.role or NOT_RECORDED}",
            f"rows: {NOT_RECORDED if one.rows is None else one.rows}",
        ]
        purpose = spdx.software_SoftwarePurpose
        kind = [spdx.dataset_DatasetType.noAssertion]
        return self.add(
            f"data-{number}",
            spdx.software_Package if one.is_model else spdx.dataset_DatasetPackage,
            name=one.name,
            software_packageVersion=one.version,
            software_downloadLocation=one.uri or NOASSERTION,
            software_primaryPurpose=purpose.model if one.is_model else purpose.data,
            dataset_datasetType=None if one.is_model else kind,
            verifiedUsing=_hashes(one.sha256),
            comment="; ".join([*told, fingerprint] if fingerprint else told),
        )

    def _preparations(self, data: list[tuple[Material, Any]]) -> None:
        """The builds of the data: each with what it read and wrote of it."""
        known = [one for one, _ in data]
        for number, step in enumerate(provenance.steps(self.dossier)):
            told = {"run_id": step.run_id, "job_name": step.job} | {
                name: getattr(step, name) for name in ("started_at", "ended_at", "state")
            }
            code = facts.code_state(self.dossier, step.run_id) or {}
            run = self._run(f"preparation-{number}", told, code)
            for relation, things in (("hasInput", step.reads), ("hasOutput", step.writes)):
                there = [data[place][1] for place in materials.places(known, things)]
                self.relate(f"preparation-{number}-{relation}", run, relation, there)

    def _run(self, anchor: str, run: Mapping[str, Any], code: Mapping[str, Any]) -> Any:
        source = materials.source(code)
        changes = {"state": run.get("state"), "commit": code.get("commit")}
        changes["uncommitted changes"] = code.get("diffSha256")
        changes["changed files"] = ", ".join(facts.changed_files(code) or ())
        return self.add(
            anchor,
            spdx.build_Build,
            build_buildType=BUILD_TYPE,
            build_buildId=run.get("run_id"),
            name=run.get("job_name"),
            build_buildStartTime=_time(run.get("started_at")),
            build_buildEndTime=_time(run.get("ended_at")),
            build_configSourceUri=[source] if source else None,
            build_configSourceEntrypoint=[str(code["entryPoint"])] if code.get("entryPoint") else None,
            comment="; ".join(f"{name}: {value}" for name, value in changes.items() if value) or None,
        )


def _hashes(sha256: str | None) -> list[Any]:
    return [spdx.Hash(algorithm=spdx.HashAlgorithm.sha256, hashValue=sha256)] if sha256 else []


def _entry(key: str, value: object) -> Any:
    return spdx.DictionaryEntry(key=key, value="null" if value is None else str(value))


def _energy(kwh: object) -> Any:
    if not isinstance(kwh, int | float):
        return None
    told = spdx.ai_EnergyConsumptionDescription(
        ai_energyQuantity=float(kwh), ai_energyUnit=spdx.ai_EnergyUnitType.kilowattHour
    )
    return spdx.ai_EnergyConsumption(ai_trainingEnergyConsumption=[told])


def _told(known: list[Fact]) -> str:
    """Facts in one text; those that nobody recorded say so."""
    return "; ".join(f"{one.name}: {NOT_RECORDED if one.value is None else one.value}" for one in known)


def _steps(dossier: Dossier) -> Iterator[str]:
    for row, value in dossier.everywhere("modelTrail_featureTransformations"):
        for step in facts.items(value.get("steps")):
            if isinstance(step, dict):
                yield f"{step.get('id')}: {step.get('op')} ({row['place']})"


def _time(text: str | None) -> datetime | None:
    """SPDX knows seconds of UTC."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0) if text else None
