"""Models and tests as dbt tells them."""

from benchmarks.corpus.shape import Json, Producer, columns
from benchmarks.corpus.values import Values

PRODUCER = Producer("https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/dbt", "DBT")
SCHEMAS = "https://github.com/OpenLineage/OpenLineage/tree/main/integration/common/openlineage/schema"


def event(values: Values, fresh: Values) -> Json:
    namespace, project = values.name(2, "-"), values.word()
    facets = {
        "parent": PRODUCER.parent(values, fresh, namespace),
        "dbt_version": PRODUCER.facet(f"{SCHEMAS}/dbt-version-run-facet.json", {"version": "1.12.0"}),
        "dbt_run": PRODUCER.facet(
            f"{SCHEMAS}/dbt-run-run-facet.json",
            {
                "invocation_id": fresh.uuid(),
                "profile_name": project,
                "project_name": project,
                "dbt_runtime": "core",
            },
        ),
    }
    kind = fresh.pick("START", "COMPLETE", "COMPLETE")
    job_facets = {"jobType": PRODUCER.job_type("MODEL")}
    sources = values.pick(0, 0, 1, 2)
    if sources:
        query = (
            f"select {', '.join(values.names(values.integer(2, 12)))} from {{{{ ref('{values.name()}') }}}}"
        )
        job_facets["sql"] = PRODUCER.standard("sql_job", "SQLJobFacet", query=query)
    job = {"namespace": namespace, "name": f"{project}.main.{values.name()}.build.run", "facets": job_facets}
    inputs = [_table(values, project) for _ in range(max(0, sources - 1))]
    outputs = [_table(values, project) for _ in range(min(sources, 1))]
    if kind == "COMPLETE" and values.rng.random() < 0.01:
        # A null where a string must be: an invalid facet, as real dbt events have it now and then.
        facets["errorMessage"] = PRODUCER.standard(
            "error_message_run",
            "ErrorMessageRunFacet",
            message=values.text(6),
            programmingLanguage="sql",
            stackTrace=None,
        )
    return PRODUCER.run_event(kind, fresh, job=job, facets=facets, inputs=inputs, outputs=outputs)


def _table(values: Values, project: str) -> Json:
    source = f"snowflake://{values.word()}.snowflakecomputing.com"
    return {
        "namespace": source,
        "name": f"{project}.main.{values.name()}",
        "facets": {
            "dataSource": PRODUCER.data_source(source, source),
            "schema": PRODUCER.schema(columns(values, 2, 5)),
            "documentation": PRODUCER.standard(
                "documentation_dataset",
                "DocumentationDatasetFacet",
                description=values.text(values.integer(3, 12)),
            ),
        },
    }
