-- One row per run, component and parameter; of a run without our facet, the standard `executionParameters`.
WITH ours AS (
    SELECT bucket, run_id, value ->> '$.capture' AS capture, unnest(value -> '$.params[*]') AS param
    FROM facet WHERE scope = 'run' AND key = 'modelTrail_hyperparameters'
),
standard AS (
    SELECT bucket, run_id, unnest(value -> '$.parameters[*]') AS param
    FROM facet
    WHERE scope = 'run' AND key = 'executionParameters' AND run_id NOT IN (SELECT run_id FROM ours)
),
said AS (
    SELECT bucket, run_id, param ->> '$.name' AS name, param ->> '$.value' AS value,
        param ->> '$.type' AS type, param ->> '$.origin' AS origin, param ->> '$.component' AS component,
        coalesce(param ->> '$.capture', capture) AS capture
    FROM ours
    UNION ALL
    SELECT bucket, run_id, coalesce(param ->> '$.key', param ->> '$.name'), param ->> '$.value',
        'string', NULL, NULL, 'declared'
    FROM standard
)
SELECT * FROM said
WHERE name IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY run_id, component, name ORDER BY value) = 1
ORDER BY bucket, run_id, component, name
