"""OpenLineage's standard facets as plain dicts, ready for an event.

Importing openlineage-python's facet classes costs half a second and building them half a millisecond, so that
modeltrail writes the JSON that they would give. Each `_schemaURL` is the one of the installed classes: a test
holds them together.

A function is named after its facet, with the entity where two have the same name. Arguments that are None
leave
their field out.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from modeltrail.version import PRODUCER
from modeltrail_schemas import encoding

_SCHEMAS: Final = "https://openlineage.io/spec/facets"

Facet = dict[str, Any]
State = Literal["ALTER", "CREATE", "DROP", "OVERWRITE", "RENAME", "TRUNCATE"]


def _facet(version: str, document: str, name: str | None = None, /, **fields: Any) -> Facet:
    """A facet of class `name` (else the document's own name) from OpenLineage's schema `document`."""
    url = f"{_SCHEMAS}/{version}/{document}.json#/$defs/{name or document}"
    facet: Facet = {"_producer": PRODUCER, "_schemaURL": url}
    for key, value in fields.items():
        if value is not None:
            facet[key] = value
    return facet


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


# --- of jobs ------------------------------------------------------------


def job_type(job_type: str, processing_type: str = "BATCH", integration: str = "MODELTRAIL") -> Facet:
    """`jobType`: TRAIN, EVALUATE, DEPLOY, MONITOR, FEATURE or JOB; all its events add up to one story."""
    return _facet(
        "2-0-4",
        "JobTypeJobFacet",
        processingType=processing_type,
        integration=integration,
        jobType=job_type,
        emissionPattern={"eventTrigger": "EVENT_BASED", "eventContentMode": "ACCUMULATIVE"},
    )


def source_code_location(
    url: str,
    *,
    type_: str = "git",
    repo_url: str | None = None,
    path: str | None = None,
    version: str | None = None,
    tag: str | None = None,
    branch: str | None = None,
    pull_request_number: str | None = None,
) -> Facet:
    """`sourceCodeLocation`: where the code of a job lies; `version` is the commit."""
    return _facet(
        "1-1-0",
        "SourceCodeLocationJobFacet",
        type=type_,
        url=url,
        repoUrl=repo_url,
        path=path,
        version=version,
        tag=tag,
        branch=branch,
        pullRequestNumber=pull_request_number,
    )


def source_code(language: str, text: str) -> Facet:
    """`sourceCode`: the code itself, redacted by the caller."""
    return _facet("1-0-1", "SourceCodeJobFacet", language=language, sourceCode=text)


def sql(query: str, dialect: str | None = None) -> Facet:
    """`sql`: what a job asks a database, redacted by the caller."""
    return _facet("1-1-0", "SQLJobFacet", query=query, dialect=dialect)


def documentation_job(description: str, content_type: str | None = None) -> Facet:
    """`documentation` of a job."""
    return _facet("1-1-0", "DocumentationJobFacet", description=description, contentType=content_type)


def ownership_job(owners: Mapping[str, str | None]) -> Facet:
    """`ownership` of a job: name -> kind of owner."""
    return _facet("1-0-1", "OwnershipJobFacet", owners=_owners(owners))


def tags_job(tags: Mapping[str, str], source: str | None = "USER") -> Facet:
    """`tags` of a job."""
    return _facet("1-0-0", "TagsJobFacet", tags=_tags(tags, source))


def lineage(entries: Mapping[tuple[str, str], Iterable[tuple[str, str]]]) -> Facet:
    """`lineage` of a job: which inputs each output really came from, `(namespace, name)` on both sides."""
    return _facet(
        "1-0-0",
        "LineageFacet",
        "LineageJobFacet",
        entries=[
            {**_dataset(output), "inputs": [_dataset(source) for source in sources]}
            for output, sources in entries.items()
        ],
    )


# --- of runs ------------------------------------------------------------


def parent(
    run_id: str,
    namespace: str,
    name: str,
    *,
    root_run_id: str | None = None,
    root_namespace: str | None = None,
    root_name: str | None = None,
) -> Facet:
    """`parent`: the run that started this one, and the root of them all; no root where its run id is None."""
    root = None
    if root_run_id is not None:
        job = {"namespace": root_namespace or namespace, "name": root_name or name}
        root = {"run": {"runId": root_run_id}, "job": job}
    return _facet(
        "1-2-0",
        "ParentRunFacet",
        run={"runId": run_id},
        job={"namespace": namespace, "name": name},
        root=root,
    )


def error_message(message: str, language: str = "python", stack_trace: str | None = None) -> Facet:
    """`errorMessage`: why a run failed, redacted by the caller."""
    return _facet(
        "1-0-1", "ErrorMessageRunFacet", message=message, programmingLanguage=language, stackTrace=stack_trace
    )


def processing_engine(version: str, name: str | None = None, adapter_version: str | None = None) -> Facet:
    """`processing_engine`: what ran the run, and the version of the code that reports it."""
    return _facet(
        "1-1-1",
        "ProcessingEngineRunFacet",
        version=version,
        name=name,
        openlineageAdapterVersion=adapter_version,
    )


def execution_parameters(parameters: Mapping[str, str | None]) -> Facet:
    """`executionParameters`: parameters as text, for who does not know `modelTrail_hyperparameters`."""
    rows = [_given({"key": key, "name": key, "value": value}) for key, value in parameters.items()]
    return _facet("1-0-0", "ExecutionParametersRunFacet", parameters=rows)


def environment_variables(variables: Mapping[str, str]) -> Facet:
    """`environmentVariables`: those that were allowed to leave."""
    rows = [{"name": name, "value": value} for name, value in variables.items()]
    return _facet("1-0-0", "EnvironmentVariablesRunFacet", environmentVariables=rows)


def nominal_time(start: str, end: str | None = None) -> Facet:
    """`nominalTime`: the period that a scheduled run stands for, RFC 3339."""
    return _facet("1-0-1", "NominalTimeRunFacet", nominalStartTime=start, nominalEndTime=end)


def tags_run(tags: Mapping[str, str], source: str | None = "USER") -> Facet:
    """`tags` of a run."""
    return _facet("1-0-0", "TagsRunFacet", tags=_tags(tags, source))


def tests(executions: Iterable[Mapping[str, Any]]) -> Facet:
    """`test`: evaluation gates, `{"name", "status", "severity", "expected", "actual", …}`, values as text."""
    return _facet("1-0-1", "TestRunFacet", tests=[dict(execution) for execution in executions])


# --- of datasets ------------------------------------------------------------


def schema(fields: Iterable[tuple[str, str | None] | Mapping[str, Any]]) -> Facet:
    """`schema`: (name, type) pairs, or dicts `{"name", "type", "description", "fields"}` where nested.

    Dicts are the caller's own, not copies: a table may have thousands of columns.
    """
    columns = [field if type(field) is dict else _column(field) for field in fields]
    return _facet("1-2-0", "SchemaDatasetFacet", fields=columns)


def dataset_version(version: str) -> Facet:
    """`version` of a dataset, or of a model."""
    return _facet("1-0-1", "DatasetVersionDatasetFacet", datasetVersion=version)


def dataset_type(type_: str, sub_type: str | None = None) -> Facet:
    """`datasetType`: TABLE, FILE, MODEL, …; a model's `sub_type` says ML_MODEL, since dbt has models too."""
    return _facet("1-0-1", "DatasetTypeDatasetFacet", datasetType=type_, subType=sub_type)


def symlinks(identifiers: Iterable[tuple[str, str, str]]) -> Facet:
    """`symlinks`: other names of the same dataset, (namespace, name, type)."""
    rows = [{"namespace": namespace, "name": name, "type": kind} for namespace, name, kind in identifiers]
    return _facet("1-0-1", "SymlinksDatasetFacet", identifiers=rows)


def documentation(description: str, content_type: str | None = None) -> Facet:
    """`documentation` of a dataset."""
    return _facet("1-1-0", "DocumentationDatasetFacet", description=description, contentType=content_type)


def ownership(owners: Mapping[str, str | None]) -> Facet:
    """`ownership` of a dataset: name -> kind of owner."""
    return _facet("1-0-1", "OwnershipDatasetFacet", owners=_owners(owners))


def tags(tags: Mapping[str, str], source: str | None = "USER", *, field: str | None = None) -> Facet:
    """`tags` of a dataset, or of one of its columns."""
    rows = [_given({**row, "field": field}) for row in _tags(tags, source)]
    return _facet("1-0-0", "TagsDatasetFacet", tags=rows)


def lifecycle_state_change(state: State, previous: tuple[str, str] | None = None) -> Facet:
    """`lifecycleStateChange`: what happened to a whole dataset; `previous` is its old (namespace, name)."""
    before = None if previous is None else {"namespace": previous[0], "name": previous[1]}
    return _facet(
        "1-0-1", "LifecycleStateChangeDatasetFacet", lifecycleStateChange=state, previousIdentifier=before
    )


def data_source(name: str | None = None, uri: str | None = None) -> Facet:
    """`dataSource`: where a dataset comes from; `uri` without credentials."""
    return _facet("1-0-1", "DatasourceDatasetFacet", name=name, uri=uri and encoding.uri(uri))


def storage(layer: str, file_format: str | None = None) -> Facet:
    """`storage`: the layer that keeps a dataset (`file`, `s3`, `delta`), and its file format."""
    return _facet("1-0-1", "StorageDatasetFacet", storageLayer=layer, fileFormat=file_format)


def column_lineage(fields: Mapping[str, Iterable[tuple[str, str, str]]]) -> Facet:
    """`columnLineage` of an output: column -> (namespace, name, column) of what it was made from."""
    rows = {
        column: {
            "inputFields": [
                {"namespace": namespace, "name": name, "field": source} for namespace, name, source in sources
            ]
        }
        for column, sources in fields.items()
    }
    return _facet("1-2-0", "ColumnLineageDatasetFacet", fields=rows)


def input_statistics(rows: int | None = None, size: int | None = None, files: int | None = None) -> Facet:
    """`inputStatistics`: rows, bytes and files that were read."""
    return _facet("1-0-0", "InputStatisticsInputDatasetFacet", rowCount=rows, size=size, fileCount=files)


def output_statistics(rows: int | None = None, size: int | None = None, files: int | None = None) -> Facet:
    """`outputStatistics`: rows, bytes and files that were written."""
    return _facet("1-0-2", "OutputStatisticsOutputDatasetFacet", rowCount=rows, size=size, fileCount=files)


def data_quality_metrics(columns: Mapping[str, Mapping[str, Any]], rows: int | None = None) -> Facet:
    """`dataQualityMetrics` of an input: column -> `{"nullCount", "distinctCount", "min", "max", …}`."""
    return _facet(
        "1-0-3",
        "DataQualityMetricsInputDatasetFacet",
        columnMetrics={name: dict(column) for name, column in columns.items()},
        rowCount=rows,
    )


def _column(field: tuple[str, str | None] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(field, tuple):
        name, kind = field
        return {"name": name} if kind is None else {"name": name, "type": kind}
    return dict(field)


def _owners(owners: Mapping[str, str | None]) -> list[dict[str, Any]]:
    return [_given({"name": name, "type": kind}) for name, kind in owners.items()]


def _tags(tags: Mapping[str, str], source: str | None) -> list[dict[str, Any]]:
    return [_given({"key": key, "value": value, "source": source}) for key, value in tags.items()]


def _dataset(identity: tuple[str, str]) -> dict[str, Any]:
    namespace, name = identity
    return {"namespace": namespace, "name": name, "type": "DATASET"}
