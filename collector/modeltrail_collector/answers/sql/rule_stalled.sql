-- kind = "stalled": a run that began and did not end in time, nor did one above it.
SELECT concat(job_name, ' ', run_id) AS subject, 'no end' AS finding, concat('an end within ', $after::VARCHAR) AS expected,
    concat(state, ' since ', strftime(coalesce(started_at, last_event_at), '%Y-%m-%dT%H:%M:%SZ')) AS actual,
    run_id, job_namespace, job_name, state, started_at, last_event_at
FROM runs
WHERE state IN ('START', 'RUNNING') AND job_name GLOB $job::VARCHAR
    AND coalesce(started_at, last_event_at) < $now::TIMESTAMPTZ - to_seconds($after_s::DOUBLE)
    AND NOT EXISTS (FROM runs AS above WHERE above.run_id = runs.parent_run_id AND above.ended_at >= runs.last_event_at)
    AND NOT EXISTS (FROM runs AS above WHERE above.run_id = runs.root_run_id AND above.ended_at >= runs.last_event_at)
