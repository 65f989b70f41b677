-- kind = "metric": a figure below or above a value. A figure that is no number is both.
WITH judged AS (
    SELECT s.subject, s.namespace, s.name, s.version, f.* EXCLUDE (namespace, name, version), CASE
        WHEN $below::DOUBLE IS NOT NULL AND (isnan(value) OR value < $below) THEN concat('at least ', $below::DOUBLE)
        WHEN $above::DOUBLE IS NOT NULL AND (isnan(value) OR value > $above) THEN concat('at most ', $above::DOUBLE)
        END AS expected
    FROM subject AS s JOIN figure AS f USING (namespace, name, version)
    WHERE metric = $metric::VARCHAR
        AND ($dataset::VARCHAR IS NULL OR dataset GLOB $dataset OR dataset GLOB concat('*/', $dataset::VARCHAR))
        AND ($split::VARCHAR IS NULL OR split = $split)
        AND CASE WHEN $slice::VARCHAR IS NULL THEN slice IS NULL ELSE slice GLOB $slice END
)
SELECT subject, concat(metric, ' ' || nullif(concat_ws(', ', split, dataset, slice), '')) AS finding, expected,
    round(value, 6)::VARCHAR AS actual, run_id, namespace, name, version, metric, value, dataset, split, slice,
    NULL::VARCHAR AS base_version, NULL::DOUBLE AS base_value
FROM judged WHERE expected IS NOT NULL
