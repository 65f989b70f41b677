"""The standard facets as dicts, held against the classes of the installed openlineage-python."""

import inspect
import types
import typing
import uuid
from enum import Enum
from typing import Any

import attr
import pytest
from openlineage.client import facet_v2
from openlineage.client.serde import Serde

from modeltrail import standard

RUN = str(uuid.UUID(int=7))

# function -> arguments, the class it stands in for
FACETS: dict[str, tuple[dict[str, Any], type[facet_v2.BaseFacet]]] = {
    "job_type": ({"job_type": "TRAIN"}, facet_v2.job_type_job.JobTypeJobFacet),
    "source_code_location": (
        {
            "url": "https://git.acme.example/churn/blob/8c1f/train.py",
            "repo_url": "https://git.acme.example/churn",
            "path": "train.py",
            "version": "8c1f",
            "tag": "v7",
            "branch": "main",
            "pull_request_number": "12",
        },
        facet_v2.source_code_location_job.SourceCodeLocationJobFacet,
    ),
    "source_code": (
        {"language": "python", "text": "print()"},
        facet_v2.source_code_job.SourceCodeJobFacet,
    ),
    "sql": (
        {"query": "SELECT 1", "dialect": "sqlite"},
        facet_v2.sql_job.SQLJobFacet,
    ),
    "documentation_job": (
        {"description": "Trains.", "content_type": "text/plain"},
        facet_v2.documentation_job.DocumentationJobFacet,
    ),
    "ownership_job": (
        {"owners": {"team:churn": "MAINTAINER", "ada": None}},
        facet_v2.ownership_job.OwnershipJobFacet,
    ),
    "tags_job": ({"tags": {"tier": "1"}}, facet_v2.tags_job.TagsJobFacet),
    "lineage": (
        {"entries": {("file", "/m.joblib"): [("file", "/a.csv"), ("file", "/b.csv")], ("file", "/c"): []}},
        facet_v2.lineage.LineageJobFacet,
    ),
    "parent": (
        {
            "run_id": RUN,
            "namespace": "airflow",
            "name": "dag.task",
            "root_run_id": RUN,
            "root_namespace": "airflow",
            "root_name": "dag",
        },
        facet_v2.parent_run.ParentRunFacet,
    ),
    "error_message": (
        {"message": "boom", "stack_trace": "Traceback"},
        facet_v2.error_message_run.ErrorMessageRunFacet,
    ),
    "processing_engine": (
        {"version": "3.13.1", "name": "python", "adapter_version": "0.1.0"},
        facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    ),
    "execution_parameters": (
        {"parameters": {"C": "0.5", "verbose": None}},
        facet_v2.execution_parameters_run.ExecutionParametersRunFacet,
    ),
    "environment_variables": (
        {"variables": {"OMP_NUM_THREADS": "2"}},
        facet_v2.environment_variables_run.EnvironmentVariablesRunFacet,
    ),
    "nominal_time": (
        {"start": "2026-10-02T00:00:00Z", "end": "2026-10-03T00:00:00Z"},
        facet_v2.nominal_time_run.NominalTimeRunFacet,
    ),
    "tags_run": ({"tags": {"tier": "1"}, "source": None}, facet_v2.tags_run.TagsRunFacet),
    "tests": (
        {"executions": [{"name": "auc", "status": "pass", "expected": ">0.85", "actual": "0.87"}]},
        facet_v2.test_run.TestRunFacet,
    ),
    "schema": (
        {
            "fields": [
                ("tenure", "int64"),
                ("plan", None),
                {"name": "inputs", "type": "struct", "fields": [{"name": "tenure", "type": "int64"}]},
            ]
        },
        facet_v2.schema_dataset.SchemaDatasetFacet,
    ),
    "dataset_version": ({"version": "7"}, facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet),
    "dataset_type": (
        {"type_": "MODEL", "sub_type": "ML_MODEL"},
        facet_v2.dataset_type_dataset.DatasetTypeDatasetFacet,
    ),
    "symlinks": (
        {"identifiers": [("file", "/m.joblib", "MODEL")]},
        facet_v2.symlinks_dataset.SymlinksDatasetFacet,
    ),
    "documentation": ({"description": "Churn."}, facet_v2.documentation_dataset.DocumentationDatasetFacet),
    "ownership": ({"owners": {"ada": "OWNER"}}, facet_v2.ownership_dataset.OwnershipDatasetFacet),
    "tags": ({"tags": {"pii": "yes"}, "field": "email"}, facet_v2.tags_dataset.TagsDatasetFacet),
    "lifecycle_state_change": (
        {"state": "RENAME", "previous": ("file", "/old.csv")},
        facet_v2.lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet,
    ),
    "data_source": (
        {"name": "lake", "uri": "s3://acme-lake"},
        facet_v2.datasource_dataset.DatasourceDatasetFacet,
    ),
    "storage": ({"layer": "s3", "file_format": "parquet"}, facet_v2.storage_dataset.StorageDatasetFacet),
    "column_lineage": (
        {"fields": {"inputs.tenure": [("file", "/a.csv", "tenure")]}},
        facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet,
    ),
    "input_statistics": (
        {"rows": 0, "size": 5, "files": 1},
        facet_v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    ),
    "output_statistics": (
        {"rows": 0, "size": 5, "files": 1},
        facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    ),
    "data_quality_metrics": (
        {"columns": {"tenure": {"nullCount": 0, "min": 0.0, "quantiles": {"0.5": 12.0}}}, "rows": 10},
        facet_v2.data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet,
    ),
}
EACH = pytest.mark.parametrize("name", FACETS)


def made(name: str) -> dict[str, Any]:
    return getattr(standard, name)(**FACETS[name][0])


def structured(kind: Any, value: Any) -> Any:
    """A JSON value as the type says, with openlineage-python's classes: a wrong name is a TypeError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return either(arguments, value)
    if origin is list:
        return [structured(arguments[0], item) for item in value]
    if origin is dict:
        return {key: structured(arguments[1], item) for key, item in value.items()}
    if attr.has(kind):
        hints = typing.get_type_hints(kind, localns=vars(facet_v2))
        fields = {name: structured(hints.get(name, object), item) for name, item in value.items()}
        return kind(**fields)
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return kind(value)
    assert kind in {Any, object} or origin is typing.Literal or isinstance(value, kind), (kind, value)
    return value


def either(kinds: tuple[Any, ...], value: Any) -> Any:
    failures = []
    for kind in kinds:
        try:
            return structured(kind, value)
        except (TypeError, AttributeError, AssertionError) as failure:
            failures.append(failure)
    raise TypeError(failures)


def pruned(value: Any) -> Any:
    """Without empty lists and maps, which the classes add by default and which mean nothing."""
    if isinstance(value, dict):
        kept = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ([], {})}
    return [pruned(item) for item in value] if isinstance(value, list) else value


def test_every_function_is_tested() -> None:
    """Each public function of the module stands in for one class of openlineage-python."""
    public = [
        name
        for name, function in inspect.getmembers(standard, inspect.isfunction)
        if function.__module__ == standard.__name__ and not name.startswith("_")
    ]
    assert sorted(FACETS) == sorted(public)


@EACH
def test_the_schema_url_is_theirs(name: str) -> None:
    """A facet names the schema, in the version, that the installed openlineage-python names."""
    assert FACETS[name][1]._get_schema() == made(name)["_schemaURL"]


@EACH
def test_the_json_is_theirs(name: str) -> None:
    """A facet is the JSON that openlineage-python's own class gives for the same fields and producer."""
    facet = made(name)
    fields = {key: value for key, value in facet.items() if not key.startswith("_")}
    theirs = structured(FACETS[name][1], {**fields, "producer": standard.PRODUCER})
    assert pruned(facet) == pruned(Serde.to_dict(theirs))


@EACH
def test_nothing_is_null(name: str) -> None:
    """What is not given is left out, never null: null is no value of any standard field."""

    def values(value: Any) -> list[Any]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [value, *(found for item in inner for found in values(item))]

    assert None not in values(made(name))


def test_a_job_type_is_whole() -> None:
    """A job type says BATCH and MODELTRAIL unless told otherwise, and that events accumulate."""
    facet = standard.job_type("TRAIN")
    assert ("BATCH", "MODELTRAIL", "TRAIN") == tuple(
        facet[key] for key in ("processingType", "integration", "jobType")
    )
    assert "ACCUMULATIVE" == facet["emissionPattern"]["eventContentMode"]
    spark = standard.job_type("JOB", "STREAMING", "SPARK")
    assert ("STREAMING", "SPARK") == (spark["processingType"], spark["integration"])


def test_a_parent_without_a_root() -> None:
    """A parent without a root run id has no root; a root without a job's name has the parent's job."""
    assert "root" not in standard.parent(RUN, "acme", "flow")
    root = standard.parent(RUN, "acme", "flow", root_run_id=RUN)["root"]
    assert {"run": {"runId": RUN}, "job": {"namespace": "acme", "name": "flow"}} == root
