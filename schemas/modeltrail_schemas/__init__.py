"""The contract between emitter and collector: facet schemas, the Avro record, the tables.

Everything is read from this package on first use and kept; treat what is returned as read-only. `schema_url`
and `FACETS` read no file, so that the emitter can import this module for nothing.
"""

import functools
import json
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Entity = Literal["run", "dataset", "input_dataset", "output_dataset"]

SCHEMA_BASE_URL: Final = "https://modeltrail.dev/schemas"
"""Where the schemas are published; a facet's `_schemaURL` starts with it."""


class FacetSpec(NamedTuple):
    """One facet of ours: its key in an event, its class, what it describes, its current version."""

    key: str
    class_name: str
    entity: Entity
    version: str


class Example(NamedTuple):
    """An instance of a facet beside its schema.

    `reason` is None when `ok`, else the one error that it has: `{json path} {schema keyword}`, for instance
    `$.fingerprint.digest required`; the path of a missing field is where it should be.
    """

    name: str
    ok: bool
    facet: dict[str, Any]
    reason: str | None


FACETS: Final = (
    FacetSpec("modelTrail_training", "ModelTrailTrainingRunFacet", "run", "1-0-1"),
    FacetSpec("modelTrail_hyperparameters", "ModelTrailHyperparametersRunFacet", "run", "1-0-1"),
    FacetSpec("modelTrail_environment", "ModelTrailEnvironmentRunFacet", "run", "1-0-1"),
    FacetSpec("modelTrail_codeState", "ModelTrailCodeStateRunFacet", "run", "1-0-3"),
    FacetSpec("modelTrail_dataUse", "ModelTrailDataUseInputDatasetFacet", "input_dataset", "1-0-1"),
    FacetSpec(
        "modelTrail_featureProfile", "ModelTrailFeatureProfileInputDatasetFacet", "input_dataset", "1-0-0"
    ),
    FacetSpec(
        "modelTrail_featureTransformations", "ModelTrailFeatureTransformationsRunFacet", "run", "1-0-1"
    ),
    FacetSpec("modelTrail_metrics", "ModelTrailMetricsRunFacet", "run", "1-0-1"),
    FacetSpec("modelTrail_metricSeries", "ModelTrailMetricSeriesRunFacet", "run", "1-0-1"),
    FacetSpec("modelTrail_evaluation", "ModelTrailEvaluationInputDatasetFacet", "input_dataset", "1-0-1"),
    FacetSpec("modelTrail_model", "ModelTrailModelDatasetFacet", "dataset", "1-0-2"),
    FacetSpec(
        "modelTrail_modelArtifact", "ModelTrailModelArtifactOutputDatasetFacet", "output_dataset", "1-0-1"
    ),
    FacetSpec("modelTrail_registration", "ModelTrailRegistrationDatasetFacet", "dataset", "1-0-0"),
    FacetSpec("modelTrail_deployment", "ModelTrailDeploymentRunFacet", "run", "1-0-0"),
    FacetSpec("modelTrail_monitoring", "ModelTrailMonitoringRunFacet", "run", "1-0-0"),
    FacetSpec("modelTrail_changes", "ModelTrailChangesDatasetFacet", "dataset", "1-0-0"),
    FacetSpec("modelTrail_subjects", "ModelTrailSubjectsDatasetFacet", "dataset", "1-0-0"),
)
"""All facets of ours, in the order in which a model comes to be."""

_BY_KEY: Final = {spec.key: spec for spec in FACETS}


def schema_url(key: str) -> str:
    """The `_schemaURL` of the facet `key` in its current version.

    Raises:
        KeyError: no facet of ours has this key.
    """
    spec = _BY_KEY[key]
    return f"{SCHEMA_BASE_URL}/facets/{key}/{spec.version}.json#/$defs/{spec.class_name}"


@functools.cache
def facet_schema(key: str) -> dict[str, Any]:
    """The JSON Schema document (2020-12) of the facet `key` in its current version.

    `["$defs"][class_name]` is the facet itself and refers to nothing else, in the document or outside; the
    document's root describes a facets map that holds the facet under its key, as OpenLineage's own do.

    Raises:
        KeyError: no facet of ours has this key.
    """
    return _json(f"facets/{key}/{_BY_KEY[key].version}.json")


def facet_schemas() -> dict[str, dict[str, Any]]:
    """The current schema documents of all facets, by key."""
    return {spec.key: facet_schema(spec.key) for spec in FACETS}


@functools.cache
def examples(key: str) -> list[Example]:
    """The examples beside the schema of the facet `key`, sorted by name: `ok-…` are valid, `bad-…` are not.

    Raises:
        KeyError: no facet of ours has this key.
    """
    folder = _files() / "facets" / _BY_KEY[key].key
    names = sorted(file.name for file in folder.iterdir() if file.name.startswith(("ok-", "bad-")))
    return [_example(f"facets/{key}/{name}", name.removesuffix(".json")) for name in names]


@functools.cache
def openapi() -> bytes:
    """What `modeltrail serve` answers, as OpenAPI 3.1 in JSON."""
    return (_files() / "openapi.json").read_bytes()


@functools.cache
def record_schema() -> dict[str, Any]:
    """The Avro schema of one record of the log, field for field `modeltrail_collector.model.Entry`."""
    return _json("record.avsc")


@functools.cache
def tables() -> dict[str, dict[str, Any]]:
    """The tables a reader may rely on: name -> `{"doc": …, "columns": [{name, type, nullable, doc}, …]}`.

    Types are Arrow's names as pyarrow prints them. A table may have more columns than are promised here.
    """
    return _json("tables/tables.json")


def table_columns(name: str) -> list[dict[str, Any]]:
    """The columns of the table `name`, in order.

    Raises:
        KeyError: there is no such table.
    """
    columns: list[dict[str, Any]] = tables()[name]["columns"]
    return columns


def _files() -> "Traversable":
    from importlib import resources  # 20 ms, for readers of files only

    return resources.files(__name__)


def _example(path: str, name: str) -> Example:
    document = _json(path)
    if name.startswith("ok-"):
        return Example(name, ok=True, facet=document, reason=None)
    reason = document["reason"]
    return Example(name, ok=False, facet=document["facet"], reason=f"{reason['path']} {reason['keyword']}")


def _json(path: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_files() / path).read_text(encoding="utf-8"))
    return document
