-- One row per run, metric, model, step, dataset, split and slice: the summary, the chunks of a series (each counted
-- once, by its number), and evaluations, which name the model they judge: the dataset that has the facet.
WITH said AS (
    SELECT
        bucket, run_id, happened_at, key, namespace AS model_namespace, name AS model_name,
        from_json(value, '{"dataset": {"name": "VARCHAR"}, "modelVersion": "VARCHAR", "modelDigest": "VARCHAR",
            "modelId": "VARCHAR",
            "metrics": [{"name": "VARCHAR", "value": "VARCHAR", "nonFinite": "VARCHAR", "step": "VARCHAR",
                "dataset": {"name": "VARCHAR"}, "slice": "VARCHAR", "split": "VARCHAR", "at": "VARCHAR",
                "modelId": "VARCHAR"}],
            "points": [{"name": "VARCHAR", "value": "VARCHAR", "nonFinite": "VARCHAR", "step": "VARCHAR",
                "dataset": {"name": "VARCHAR"}, "slice": "VARCHAR", "split": "VARCHAR", "at": "VARCHAR",
                "modelId": "VARCHAR"}]}') AS told
    FROM facet
    WHERE scope = 'run' AND key IN ('modelTrail_metrics', 'modelTrail_metricSeries')
        OR scope = 'input_facet' AND key = 'modelTrail_evaluation'
),
one AS (
    SELECT *, unnest(CASE key WHEN 'modelTrail_metricSeries' THEN told.points ELSE told.metrics END) AS metric FROM said
),
read AS (
    SELECT
        bucket, run_id, metric.name AS name,
        coalesce(
            try_cast(metric.value AS DOUBLE),
            CASE metric.nonFinite WHEN 'nan' THEN 'NaN'::DOUBLE WHEN 'inf' THEN 'Infinity'::DOUBLE
                WHEN '-inf' THEN '-Infinity'::DOUBLE END
        ) AS value,
        try_cast(metric.step AS BIGINT) AS step,
        coalesce(metric.dataset.name, told.dataset.name) AS dataset,
        metric.slice AS slice,
        metric.split AS split,
        coalesce(metric.modelId, told.modelId) AS model_id,
        coalesce(try_cast(metric.at AS TIMESTAMPTZ), happened_at) AS happened_at,
        CASE key WHEN 'modelTrail_metrics' THEN 'summary' WHEN 'modelTrail_metricSeries' THEN 'series'
            ELSE 'evaluation' END AS source,
        model_namespace, model_name,
        told.modelVersion AS model_version,
        regexp_replace(told.modelDigest, '^[A-Za-z0-9-]+:', '') AS model_digest
    FROM one
)
SELECT * FROM read
-- The last value of a series is in the summary too, which says more of it.
ANTI JOIN (SELECT run_id, name, step, split, model_id, value FROM read WHERE source = 'summary') AS last
    ON read.source = 'series' AND read.run_id = last.run_id AND read.name = last.name
    AND read.step = last.step AND read.value = last.value AND read.model_id IS NOT DISTINCT FROM last.model_id
    AND coalesce(read.split, last.split, '') = coalesce(last.split, '')
WHERE name IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY run_id, name, step, dataset, slice, split, model_id, model_namespace, model_name, model_version
    ORDER BY source DESC, happened_at DESC, value
) = 1
ORDER BY bucket, run_id, name, step, dataset, slice, model_id
