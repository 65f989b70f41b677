"""The schema that is derived from the installed client."""

from modeltrail_collector.judge.derive import ENTITIES, derive


def test_every_kind_of_facet_is_found():
    """All facet classes of the client are known, under the keys that producers use."""
    facets = derive().facets
    assert set(ENTITIES) == set(facets)
    assert {
        "environmentVariables",
        "errorMessage",
        "executionParameters",
        "externalQuery",
        "extractionError",
        "jobDependencies",
        "nominalTime",
        "parent",
        "processing_engine",
        "tags",
        "test",
    } <= set(facets["run"])
    assert {
        "documentation",
        "jobType",
        "lineage",
        "ownership",
        "sourceCode",
        "sourceCodeLocation",
        "sql",
        "tags",
    } <= set(facets["job"])
    assert {
        "catalog",
        "columnLineage",
        "dataQualityMetrics",
        "dataSource",
        "datasetType",
        "documentation",
        "hierarchy",
        "lifecycleStateChange",
        "lineage",
        "ownership",
        "schema",
        "storage",
        "symlinks",
        "tags",
        "version",
    } <= set(facets["dataset"])
    assert {"dataQualityAssertions", "dataQualityMetrics", "inputStatistics", "subset"} <= set(
        facets["input_dataset"]
    )
    assert {"outputStatistics", "subset"} <= set(facets["output_dataset"])


def test_formats_are_recovered_from_validators():
    """The formats of the core and the facets are those of the specification."""
    definitions = derive().definitions
    formats = {
        (name, field, value["format"])
        for name, definition in definitions.items()
        for field, value in definition["properties"].items()
        if "format" in value and not field.startswith("_") and not name.endswith("Event")
    }
    assert {
        ("base.Run", "runId", "uuid"),
        ("data_quality_metrics_dataset.DataQualityMetricsDatasetFacet", "captureDate", "date-time"),
        ("data_quality_metrics_dataset.DataQualityMetricsDatasetFacet", "lastUpdated", "date-time"),
        (
            "data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet",
            "lastUpdated",
            "date-time",
        ),
        ("datasource_dataset.DatasourceDatasetFacet", "uri", "uri"),
        ("job_dependencies_run.RunIdentifier", "runId", "uuid"),
        ("lineage.LineageJobEntry", "runId", "uuid"),
        ("lineage.LineageJobInput", "runId", "uuid"),
        ("nominal_time_run.NominalTimeRunFacet", "nominalEndTime", "date-time"),
        ("nominal_time_run.NominalTimeRunFacet", "nominalStartTime", "date-time"),
        ("parent_run.RootRun", "runId", "uuid"),
        ("parent_run.Run", "runId", "uuid"),
        ("source_code_location_job.SourceCodeLocationJobFacet", "url", "uri"),
    } <= formats


def test_events_are_told_apart():
    """The core's events require what the specification does, and a job event has no run."""
    definitions = derive().definitions
    required = {name: sorted(definitions[f"base.{name}"]["required"]) for name in ("RunEvent", "JobEvent")}
    assert ["eventTime", "job", "producer", "run", "schemaURL"] == required["RunEvent"]
    assert ["eventTime", "job", "producer", "schemaURL"] == required["JobEvent"]
    assert {"required": ["run"]} == definitions["base.JobEvent"]["not"]


def test_dependent_fields_are_recovered_from_validators():
    """A job's namespace and name in a lineage facet come together or not at all."""
    dependent = {
        name: definition["dependentRequired"]
        for name, definition in derive().definitions.items()
        if "dependentRequired" in definition
    }
    both = {"namespace": ["name"], "name": ["namespace"]}
    assert {"lineage.LineageJobEntry": both, "lineage.LineageJobInput": both} == dependent


def test_every_type_of_the_client_is_understood():
    """No field is let through unseen but those that may hold anything."""
    anything = {
        (name.rpartition(".")[2], field)
        for name, definition in derive().definitions.items()
        for field, value in definition["properties"].items()
        if {} in (value, value.get("items"), value.get("additionalProperties"))
    }
    assert {("Partition", "dimensions"), ("Assertion", "params"), ("TestExecution", "params")} == anything
