"""Spark actions, and the wide column lineage that Spark SQL jobs carry."""

from benchmarks.corpus.shape import CORE, Json, Producer, columns
from benchmarks.corpus.values import Values

PRODUCER = Producer("https://github.com/OpenLineage/OpenLineage/tree/1.53.0/integration/spark", "SPARK")


def event(values: Values, fresh: Values) -> Json:
    tables = values.integer(0, 2)
    inputs = [_table(values, columns(values, 1, 6)) for _ in range(tables)]
    outputs = [_output(values, columns(values, 1, 6), inputs, 2)] if inputs else []
    return _event(values, fresh, inputs, outputs)


def column_lineage_event(values: Values, fresh: Values) -> Json:
    inputs = [_table(values, columns(values, 1, 14)) for _ in range(2)]
    width = values.pick(0, 8, 16, 44)
    return _event(values, fresh, inputs, [_output(values, columns(values, width, width + 8), inputs, width)])


def _event(values: Values, fresh: Values, inputs: list[Json], outputs: list[Json]) -> Json:
    namespace, application = values.name(2, "-"), values.name()
    facets = {
        "parent": PRODUCER.parent(values, fresh, namespace),
        "spark_properties": PRODUCER.facet(
            f"{CORE}RunFacet",
            {
                "properties": {
                    "spark.master": "yarn",
                    "spark.app.name": application,
                    "spark.executor.memory": "8g",
                }
            },
        ),
        "processing_engine": PRODUCER.engine("spark", "4.0.5"),
        "environment-properties": PRODUCER.facet(f"{CORE}RunFacet", {"properties": {}}),
        "spark_applicationDetails": PRODUCER.facet(
            f"{CORE}RunFacet",
            {
                "applicationId": f"application_{fresh.integer(10**12, 10**13)}_{fresh.integer(0, 9999):04d}",
                "userName": values.word(),
                "driverHost": f"{values.word()}.internal",
                "uiWebUrl": f"http://{values.word()}:4040",
            },
        ),
    }
    job = {
        "namespace": namespace,
        "name": f"{application}.execute_insert_into_hadoop_fs_relation_command.{values.name(3)}",
        "facets": {"jobType": PRODUCER.job_type("SQL_JOB")},
    }
    return PRODUCER.run_event(
        fresh.pick("START", "RUNNING", "COMPLETE"),
        fresh,
        job=job,
        facets=facets,
        inputs=inputs,
        outputs=outputs,
    )


def _table(values: Values, fields: list[tuple[str, str]]) -> Json:
    # A `uri` that is no URI, as Spark writes it for files: the judge's warning path.
    uri = values.pick("file", f"gs://{values.name(2, '-')}", f"s3://{values.name(2, '-')}")
    return {
        "namespace": uri,
        "name": f"/{values.name(3, '/')}",
        "facets": {"dataSource": PRODUCER.data_source(uri, uri), "schema": PRODUCER.schema(fields)},
    }


def _output(values: Values, fields: list[tuple[str, str]], inputs: list[Json], lineage: int) -> Json:
    table = _table(values, fields)
    table["facets"]["columnLineage"] = PRODUCER.column_lineage(
        values, [name for name, _ in fields[:lineage]], inputs, 2
    )
    rows = values.integer(1, 10**7)
    table["outputFacets"] = {
        "outputStatistics": PRODUCER.standard(
            "output_statistics_output_dataset",
            "OutputStatisticsOutputDatasetFacet",
            rowCount=rows,
            size=rows * 40,
            fileCount=8,
        )
    }
    return table
