-- One row per run, metric, step, dataset, split and slice: the summary, the chunks of a series (each counted once,
-- by its number), and evaluations, which name the model they judge.
WITH said AS (
    SELECT bucket, run_id, happened_at, 'summary' AS source, unnest(value -> '$.metrics[*]') AS metric, NULL AS dataset,
        NULL AS model_namespace, NULL AS model_name, NULL AS model_version, NULL AS model_digest
    FROM facet WHERE scope = 'run' AND key = 'modelTrail_metrics'
    UNION ALL
    SELECT bucket, run_id, happened_at, 'series', unnest(value -> '$.points[*]'), NULL, NULL, NULL, NULL, NULL
    FROM facet WHERE scope = 'run' AND key = 'modelTrail_metricSeries'
    UNION ALL
    SELECT bucket, run_id, happened_at, 'evaluation', unnest(value -> '$.metrics[*]'), value ->> '$.dataset.name',
        namespace, name, value ->> '$.modelVersion',
        regexp_replace(value ->> '$.modelDigest', '^[A-Za-z0-9-]+:', '')
    FROM facet WHERE scope = 'input_facet' AND key = 'modelTrail_evaluation'
),
read AS (
    SELECT
        bucket, run_id, metric ->> '$.name' AS name,
        coalesce(
            try_cast(metric ->> '$.value' AS DOUBLE),
            CASE metric ->> '$.nonFinite' WHEN 'nan' THEN 'NaN'::DOUBLE WHEN 'inf' THEN 'Infinity'::DOUBLE
                WHEN '-inf' THEN '-Infinity'::DOUBLE END
        ) AS value,
        try_cast(metric ->> '$.step' AS BIGINT) AS step,
        coalesce(metric ->> '$.dataset.name', dataset) AS dataset,
        nullif(metric ->> '$.slice', 'null') AS slice,
        metric ->> '$.split' AS split,
        coalesce(try_cast(metric ->> '$.at' AS TIMESTAMPTZ), happened_at) AS happened_at,
        source, model_namespace, model_name, model_version, model_digest
    FROM said
)
SELECT * FROM read
WHERE name IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY run_id, name, step, dataset, slice, split, model_namespace, model_name, model_version
    ORDER BY source DESC, happened_at DESC, value
) = 1
ORDER BY bucket, run_id, name, step, dataset, slice
