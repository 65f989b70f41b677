-- kind = "metric": a figure below or above a value, or moved against another version of the same model.
-- A figure that is no number is below, above and moved.
-- `figure`, named twice, would be worked out for all metrics.
WITH told AS MATERIALIZED (FROM figure WHERE metric = $metric::VARCHAR),
now AS (
    SELECT s.subject, s.namespace, s.name, s.version, f.* EXCLUDE (namespace, name, version)
    FROM subject AS s JOIN told AS f USING (namespace, name, version)
    WHERE ($dataset::VARCHAR IS NULL OR dataset GLOB $dataset OR dataset GLOB concat('*/', $dataset::VARCHAR))
        AND ($split::VARCHAR IS NULL OR split = $split)
        AND CASE WHEN $slice::VARCHAR IS NULL THEN slice IS NULL ELSE slice GLOB $slice END
),
-- What was measured on data of the same name and did not move is done with: only of the rest the content is looked at,
-- or a rule about all versions would not find room for it.
asked AS MATERIALIZED (
    SELECT now.*, b.base_version
    FROM now
    JOIN baseline AS b USING (namespace, name, version)
    LEFT JOIN told AS f ON (f.namespace, f.name, f.version) = (b.namespace, b.name, b.base_version)
        AND f.dataset IS NOT DISTINCT FROM now.dataset AND f.split IS NOT DISTINCT FROM now.split
        AND f.slice IS NOT DISTINCT FROM now.slice
    WHERE coalesce($moved_by::DOUBLE, $fell_by, $rose_by) IS NOT NULL AND coalesce(
        regexp_matches(now.dataset, '-\d+$') OR isnan(now.value - f.value)
            OR abs(now.value - f.value) > coalesce($moved_by, $fell_by, $rose_by), true)
),
base AS MATERIALIZED (
    SELECT f.* FROM told AS f SEMI JOIN asked AS a
        ON (a.namespace, a.name, a.base_version) = (f.namespace, f.name, f.version)
),
-- On the same content, else on data of the same name, but for a running number (`train/test-2`): as `why` does.
content AS MATERIALIZED (
    SELECT run_id, name AS dataset, max(coalesce(fingerprint, version)) AS content, bool_or(namespace = 'inmemory://'
        AND regexp_matches(name, '/(train|validation|test|calibration|reference|inference|prompt|other|data)-\d+$')) AS numbered
    FROM run_datasets SEMI JOIN (SELECT run_id FROM asked UNION SELECT run_id FROM base) USING (run_id)
    WHERE role = 'input' GROUP BY ALL
),
held AS (
    SELECT a.*, f.value AS base_value, a.value - f.value AS delta,
        CASE WHEN fc.content <> ac.content THEN ', on other data' ELSE '' END AS other
    FROM asked AS a
    LEFT JOIN content AS ac USING (run_id, dataset)
    LEFT JOIN (base AS f LEFT JOIN content AS fc USING (run_id, dataset))
        ON (f.namespace, f.name, f.version) = (a.namespace, a.name, a.base_version)
        AND f.split IS NOT DISTINCT FROM a.split AND f.slice IS NOT DISTINCT FROM a.slice
        AND (fc.content = ac.content OR f.dataset IS NOT DISTINCT FROM a.dataset AND NOT coalesce(ac.numbered, false))
    QUALIFY row_number() OVER (PARTITION BY a.namespace, a.name, a.version, a.dataset, a.split, a.slice
        ORDER BY fc.content = ac.content DESC NULLS LAST, f.dataset = a.dataset DESC NULLS LAST, f.dataset) = 1
    UNION ALL
    SELECT now.*, NULL, NULL, NULL, ''
    FROM now WHERE coalesce($below::DOUBLE, $above) IS NOT NULL
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
