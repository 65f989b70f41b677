-- One row per run that put a model somewhere (or took it away).
SELECT
    facet.bucket, facet.run_id, value ->> '$.action' AS action,
    value ->> '$.endpoint.platform' AS platform, value ->> '$.endpoint.name' AS endpoint,
    value ->> '$.endpoint.uri' AS uri, value ->> '$.environment' AS environment,
    value ->> '$.model.namespace' AS model_namespace, value ->> '$.model.name' AS model_name,
    value ->> '$.model.version' AS model_version,
    regexp_replace(value ->> '$.model.digest', '^[A-Za-z0-9-]+:', '') AS model_digest,
    coalesce(value ->> '$.previousModel.version', value ->> '$.previousModel') AS previous_version,
    try_cast(value ->> '$.trafficPercent' AS DOUBLE) AS traffic_percent,
    coalesce(try_cast(value ->> '$.effectiveAt' AS TIMESTAMPTZ), facet.happened_at) AS effective_at,
    value ->> '$.actor' AS actor, runs.state
FROM facet
LEFT JOIN runs USING (run_id)
WHERE scope = 'run' AND key = 'modelTrail_deployment'
ORDER BY facet.bucket, facet.run_id
