-- One row per run. FAIL and ABORT beat COMPLETE (Spark sends COMPLETE after FAIL), a terminal state never goes
-- back, and a run that only ever started says START. One that failed, was started anew (MLflow's run by its id)
-- and then completed is complete. Names that carry uids share a stem.
WITH completed AS (
    SELECT run_id, max(happened_at) AS completed_at
    FROM event
    WHERE event_type = 'COMPLETE' AND NOT duplicate
    GROUP BY run_id
),
anew AS (
    SELECT run_id, max(happened_at) AS begun_at
    FROM event JOIN completed USING (run_id)
    WHERE event_type = 'START' AND NOT duplicate AND happened_at < completed_at
    GROUP BY run_id
),
by_run AS (
    SELECT
        bucket, run_id,
        arg_max(job_namespace, position) AS job_namespace,
        arg_max(job_name, position) AS job_name,
        arg_max(producer, position) AS producer,
        coalesce(
            arg_max(event_type, position) FILTER (
                event_type IN ('FAIL', 'ABORT') AND (begun_at IS NULL OR happened_at >= begun_at)
            ),
            max(event_type) FILTER (event_type = 'COMPLETE'),
            max(event_type) FILTER (event_type = 'RUNNING'),
            max(event_type) FILTER (event_type = 'START'),
            'OTHER'
        ) AS state,
        coalesce(bool_or(event_type IN ('FAIL', 'ABORT')), false) AS has_failed,
        min(happened_at) FILTER (event_type = 'START') AS started_at,
        min(happened_at) AS first_event_at,
        max(happened_at) AS last_event_at,
        min(ingested_at) AS first_ingested_at,
        max(ingested_at) AS last_ingested_at,
        count(*) AS events
    FROM event LEFT JOIN anew USING (run_id)
    WHERE run_id IS NOT NULL AND NOT duplicate
    GROUP BY bucket, run_id
),
ends AS (
    SELECT event.run_id, max(event.happened_at) AS ended_at
    FROM event JOIN by_run ON event.run_id = by_run.run_id AND event.event_type = by_run.state
    WHERE NOT event.duplicate AND by_run.state IN ('COMPLETE', 'FAIL', 'ABORT')
    GROUP BY event.run_id
),
said AS (
    SELECT
        run_id,
        max(CASE WHEN scope = 'job' AND key = 'jobType' THEN value ->> '$.jobType' END) AS job_type,
        max(CASE WHEN scope = 'job' AND key = 'jobType' THEN value ->> '$.integration' END) AS integration,
        max(CASE WHEN scope = 'run' AND key = 'parent' THEN value ->> '$.run.runId' END) AS parent_run_id,
        max(CASE WHEN scope = 'run' AND key = 'parent' THEN value ->> '$.job.namespace' END) AS parent_job_namespace,
        max(CASE WHEN scope = 'run' AND key = 'parent' THEN value ->> '$.job.name' END) AS parent_job_name,
        max(CASE WHEN scope = 'run' AND key = 'parent' THEN value ->> '$.root.run.runId' END) AS root_run_id,
        max(CASE WHEN scope = 'run' AND key IN ('errorMessage', 'spark.exception')
            THEN value ->> '$.message' END) AS error
    FROM facet
    WHERE run_id IS NOT NULL AND key IN ('jobType', 'parent', 'errorMessage', 'spark.exception')
    GROUP BY run_id
)
SELECT
    by_run.* EXCLUDE (has_failed), ended_at, said.* EXCLUDE (run_id, error),
    CASE WHEN NOT (has_failed AND state = 'COMPLETE') THEN error END AS error,
    regexp_replace(
        regexp_replace(job_name, '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}', '*', 'g'),
        '_[0-9a-f]{12}(_|$)', '_*\1', 'g'
    ) AS job_stem
FROM by_run
LEFT JOIN ends USING (run_id)
LEFT JOIN said USING (run_id)
ORDER BY bucket, run_id
