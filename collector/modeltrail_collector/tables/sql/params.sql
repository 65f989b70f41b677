-- One row per run, model told apart, component and parameter; of a run without our facet, the standard `executionParameters`.
WITH facet_said AS (
    SELECT
        bucket, run_id, key = 'modelTrail_hyperparameters' AS ours,
        from_json(value, '{"capture": "VARCHAR",
            "params": [{"name": "VARCHAR", "value": "VARCHAR", "type": "VARCHAR", "origin": "VARCHAR",
                "component": "VARCHAR", "modelId": "VARCHAR", "capture": "VARCHAR"}],
            "parameters": [{"key": "VARCHAR", "name": "VARCHAR", "value": "VARCHAR"}]}') AS told
    FROM facet
    WHERE scope = 'run' AND key IN ('modelTrail_hyperparameters', 'executionParameters')
),
param AS (
    SELECT bucket, run_id, told.capture AS of_all, unnest(told.params, recursive := true)
    FROM facet_said WHERE ours
),
standard AS (
    SELECT bucket, run_id, unnest(told.parameters, recursive := true)
    FROM facet_said WHERE NOT ours AND run_id NOT IN (SELECT run_id FROM facet_said WHERE ours)
),
said AS (
    SELECT bucket, run_id, name, value, type, origin, component, modelId AS model_id,
        coalesce(capture, of_all) AS capture
    FROM param
    UNION ALL
    SELECT bucket, run_id, coalesce(key, name), value, 'string', NULL, NULL, NULL, 'declared' FROM standard
)
SELECT * FROM said
WHERE name IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY run_id, model_id, component, name ORDER BY value) = 1
ORDER BY bucket, run_id, component, name, model_id
