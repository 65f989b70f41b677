-- kind = "metric": a figure below or above a value, or moved against another version of the same model.
-- A figure that is no number is below, above and moved.
-- `figure`, named twice, would be worked out for all metrics, and what is told of it several times.
WITH measured AS MATERIALIZED (FROM figure WHERE metric = $metric::VARCHAR),
told AS MATERIALIZED (
    SELECT m.*, d.content, coalesce(d.numbered, false) AS numbered
    FROM measured AS m LEFT JOIN (
        SELECT run_id, name AS dataset, max(coalesce(fingerprint, version)) AS content, bool_or(namespace = 'inmemory://'
            AND regexp_matches(name, '/(train|validation|test|calibration|reference|inference|prompt|other|data)-\d+$')) AS numbered
        FROM run_datasets SEMI JOIN measured USING (run_id)
        WHERE role = 'input' AND coalesce($moved_by::DOUBLE, $fell_by, $rose_by) IS NOT NULL -- who compares nothing needs no look
        GROUP BY ALL
    ) AS d USING (run_id, dataset)
),
now AS (
    SELECT s.subject, s.namespace, s.name, s.version, f.* EXCLUDE (namespace, name, version)
    FROM subject AS s JOIN told AS f USING (namespace, name, version)
    WHERE ($dataset::VARCHAR IS NULL OR dataset GLOB $dataset OR dataset GLOB concat('*/', $dataset::VARCHAR))
        AND ($split::VARCHAR IS NULL OR split = $split)
        AND CASE WHEN $slice::VARCHAR IS NULL THEN slice IS NULL ELSE slice GLOB $slice END
),
-- On the same content, else on data of the same name, but for a running number (`train/test-2`): as `why` does.
held AS (
    SELECT now.*, b.base_version, f.value AS base_value, now.value - f.value AS delta,
        CASE WHEN f.content <> now.content THEN ', on other data' ELSE '' END AS other
    FROM now
    LEFT JOIN baseline AS b USING (namespace, name, version)
    LEFT JOIN told AS f ON (f.namespace, f.name, f.version) = (b.namespace, b.name, b.base_version)
        AND f.split IS NOT DISTINCT FROM now.split AND f.slice IS NOT DISTINCT FROM now.slice
        AND (f.content = now.content OR f.dataset IS NOT DISTINCT FROM now.dataset AND NOT now.numbered)
    QUALIFY row_number() OVER (PARTITION BY now.namespace, now.name, now.version, now.dataset, now.split, now.slice
        ORDER BY f.content = now.content DESC NULLS LAST, f.dataset = now.dataset DESC NULLS LAST, f.dataset) = 1
),
judged AS (
    SELECT *, CASE
        WHEN $below::DOUBLE IS NOT NULL AND (isnan(value) OR value < $below) THEN concat('at least ', $below::DOUBLE)
        WHEN $above::DOUBLE IS NOT NULL AND (isnan(value) OR value > $above) THEN concat('at most ', $above::DOUBLE)
        WHEN base_value IS NULL THEN NULL
        WHEN $moved_by::DOUBLE IS NOT NULL AND (isnan(delta) OR abs(delta) > $moved_by)
            THEN concat('within ', $moved_by::DOUBLE, ' of ', round(base_value, 6), ' (version ', base_version, ')', other)
        WHEN $fell_by::DOUBLE IS NOT NULL AND (isnan(delta) OR delta < -$fell_by)
            THEN concat('at most ', $fell_by::DOUBLE, ' below ', round(base_value, 6), ' (version ', base_version, ')', other)
        WHEN $rose_by::DOUBLE IS NOT NULL AND (isnan(delta) OR delta > $rose_by)
            THEN concat('at most ', $rose_by::DOUBLE, ' above ', round(base_value, 6), ' (version ', base_version, ')', other)
        END AS expected
    FROM held
)
SELECT subject, concat(metric, ' ' || nullif(concat_ws(', ', split, dataset, slice), '')) AS finding, expected,
    round(value, 6)::VARCHAR AS actual, run_id, namespace, name, version, metric, value, dataset, split, slice,
    CASE WHEN coalesce($moved_by, $fell_by, $rose_by) IS NOT NULL THEN base_version END AS base_version,
    CASE WHEN coalesce($moved_by, $fell_by, $rose_by) IS NOT NULL THEN base_value END AS base_value
FROM judged WHERE expected IS NOT NULL
