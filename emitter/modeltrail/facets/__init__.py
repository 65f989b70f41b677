"""One class per ML facet: what modeltrail says beyond OpenLineage's standard facets.

Attributes are snake_case, the wire is camelCase, and `to_dict()` gives the JSON form::

    facet = ModelTrailDataUseInputDatasetFacet(
        role="train",
        fingerprint={"algorithm": "sha256", "digest": digest, "scope": "full"},
        capture="observed",
    )
    input_facets[facet.KEY] = facet.to_dict()

Nested values are plain dicts in wire names, or objects of msgspec or attrs, whose attributes become wire
names as a facet's own do. Nothing is validated here: the schemas in `modeltrail_schemas` say what is valid,
and the collector judges.

With openlineage-python's own events put `facet.to_dict()` into their facets maps too: their serializer does
not know these objects.

They are structs of msgspec, as all values in the emitter are: making a class of attrs takes 30 times as long,
0.5 ms, and a program that trains for a second would pay that for eighty classes.
"""

from typing import Final

from modeltrail.facets._base import Capture, Facet, wire_name
from modeltrail.facets.datasets import (
    ModelTrailChangesDatasetFacet,
    ModelTrailDataUseInputDatasetFacet,
    ModelTrailEvaluationInputDatasetFacet,
    ModelTrailFeatureProfileInputDatasetFacet,
    ModelTrailModelArtifactOutputDatasetFacet,
    ModelTrailModelDatasetFacet,
    ModelTrailRegistrationDatasetFacet,
    ModelTrailSubjectsDatasetFacet,
)
from modeltrail.facets.runs import (
    ModelTrailCodeStateRunFacet,
    ModelTrailDeploymentRunFacet,
    ModelTrailEnvironmentRunFacet,
    ModelTrailFeatureTransformationsRunFacet,
    ModelTrailHyperparametersRunFacet,
    ModelTrailMetricSeriesRunFacet,
    ModelTrailMetricsRunFacet,
    ModelTrailMonitoringRunFacet,
    ModelTrailTrainingRunFacet,
)
from modeltrail.facets.values import metric_entry, param_entries, params_sha256
from modeltrail.version import PRODUCER

CLASSES: Final[dict[str, type[Facet]]] = {
    facet.KEY: facet
    for facet in (
        ModelTrailTrainingRunFacet,
        ModelTrailHyperparametersRunFacet,
        ModelTrailEnvironmentRunFacet,
        ModelTrailCodeStateRunFacet,
        ModelTrailDataUseInputDatasetFacet,
        ModelTrailFeatureProfileInputDatasetFacet,
        ModelTrailFeatureTransformationsRunFacet,
        ModelTrailMetricsRunFacet,
        ModelTrailMetricSeriesRunFacet,
        ModelTrailEvaluationInputDatasetFacet,
        ModelTrailModelDatasetFacet,
        ModelTrailModelArtifactOutputDatasetFacet,
        ModelTrailRegistrationDatasetFacet,
        ModelTrailDeploymentRunFacet,
        ModelTrailMonitoringRunFacet,
        ModelTrailChangesDatasetFacet,
        ModelTrailSubjectsDatasetFacet,
    )
}
"""The class of each facet key."""

__all__ = [
    "CLASSES",
    "PRODUCER",
    "Capture",
    "Facet",
    "ModelTrailChangesDatasetFacet",
    "ModelTrailCodeStateRunFacet",
    "ModelTrailDataUseInputDatasetFacet",
    "ModelTrailDeploymentRunFacet",
    "ModelTrailEnvironmentRunFacet",
    "ModelTrailEvaluationInputDatasetFacet",
    "ModelTrailFeatureProfileInputDatasetFacet",
    "ModelTrailFeatureTransformationsRunFacet",
    "ModelTrailHyperparametersRunFacet",
    "ModelTrailMetricSeriesRunFacet",
    "ModelTrailMetricsRunFacet",
    "ModelTrailModelArtifactOutputDatasetFacet",
    "ModelTrailModelDatasetFacet",
    "ModelTrailMonitoringRunFacet",
    "ModelTrailRegistrationDatasetFacet",
    "ModelTrailSubjectsDatasetFacet",
    "ModelTrailTrainingRunFacet",
    "metric_entry",
    "param_entries",
    "params_sha256",
    "wire_name",
]
