"""Task runs as the Airflow provider tells them."""

from benchmarks.corpus.shape import CORE, Json, Producer, columns
from benchmarks.corpus.values import Values

PRODUCER = Producer("https://github.com/apache/airflow/tree/providers-openlineage/2.20.3", "AIRFLOW")


def event(values: Values, fresh: Values) -> Json:
    namespace, dag, task = values.name(2, "-"), values.name(), values.name(3)
    kind = fresh.pick("START", "COMPLETE")
    facets = {
        "parent": PRODUCER.parent(values, fresh, namespace),
        "nominalTime": PRODUCER.nominal_time(fresh),
        "processing_engine": PRODUCER.engine("Airflow", "3.1.2"),
        "airflow": PRODUCER.facet(f"{CORE}RunFacet", _airflow(values, fresh, dag, task)),
    }
    job_facets = {
        "jobType": PRODUCER.job_type("TASK"),
        "ownership": PRODUCER.standard(
            "ownership_job", "OwnershipJobFacet", owners=[{"name": values.word()}]
        ),
    }
    tables = values.integer(0, 2)
    if tables:
        job_facets["sql"] = PRODUCER.standard("sql_job", "SQLJobFacet", query=_query(values))
    job = {"namespace": namespace, "name": f"{dag}.{task}", "facets": job_facets}
    inputs, outputs = ([_table(values) for _ in range(count)] for count in (tables, min(tables, 1)))
    return PRODUCER.run_event(kind, fresh, job=job, facets=facets, inputs=inputs, outputs=outputs)


def _query(values: Values) -> str:
    target, source, chosen = values.name(), values.name(), ", ".join(values.names(5))
    return (
        f"INSERT INTO {target} SELECT {chosen} FROM {source} WHERE {values.word()} > {values.integer(1, 99)}"
    )


def _table(values: Values) -> Json:
    return {
        "namespace": f"postgres://{values.word()}.example.com:5432",
        "name": f"{values.word()}.public.{values.name()}",
        "facets": {"schema": PRODUCER.schema(columns(values, 2, 5))},
    }


def _airflow(values: Values, fresh: Values, dag: str, task: str) -> Json:
    run_id = f"scheduled__{fresh.time()}"
    return {
        "dag": {
            "dag_id": dag,
            "fileloc": f"/opt/airflow/dags/{dag}.py",
            "owner": values.word(),
            "owner_links": {},
            "start_date": values.time(),
            "tags": f"['{values.word()}', '{values.word()}']",
            "timetable": {
                "expression": f"{values.integer(0, 59)} {values.integer(0, 23)} * * *",
                "timezone": "UTC",
            },
        },
        "dagRun": {
            "conf": {},
            "dag_id": dag,
            "data_interval_end": fresh.time(),
            "run_id": run_id,
            "run_type": "scheduled",
            "start_date": fresh.time(),
        },
        "task": {
            "depends_on_past": False,
            "downstream_task_ids": f"['{values.name()}']",
            "inlets": "[]",
            "mapped": False,
            "operator_class": values.pick("PythonOperator", "SQLExecuteQueryOperator", "BashOperator"),
            "owner": values.word(),
            "retries": values.integer(0, 3),
            "task_id": task,
            "trigger_rule": "all_success",
            "upstream_task_ids": f"['{values.name()}', '{values.name()}']",
        },
        "taskInstance": {
            "pool": "default_pool",
            "try_number": fresh.integer(1, 3),
            "log_url": f"http://airflow:8080/dags/{dag}/runs/{run_id}/tasks/{task}",
        },
        "taskUuid": fresh.uuid(),
    }
