-- kind = "drift": pairs of profiles (`before`, `after`: column -> profile) of what a version and the one it is held
-- against were trained on, whose columns are then compared as `why` does; and what monitoring measured of a version in
-- use, which has no `before`.
WITH profile AS (
    SELECT f.run_id, f.namespace, f.name, f.value -> '$.columns' AS columns,
        row_number() OVER (PARTITION BY f.run_id ORDER BY f.name, f.namespace) AS number
    FROM facets AS f JOIN run_datasets AS d ON d.run_id = f.run_id AND d.role = 'input' AND d.use = 'train'
        AND (d.namespace, d.name) = (f.namespace, f.name)
    WHERE f.scope = 'input_facet' AND f.key = 'modelTrail_featureProfile'
),
monitored AS (
    SELECT run_id, happened_at, value ->> '$.model.name' AS model, value ->> '$.model.version' AS version,
        value ->> '$.model.digest' AS digest, unnest(json_extract(value, '$.drift[*]')) AS one,
        value ->> '$.window.end' AS until
    FROM facets WHERE scope = 'run' AND key = 'modelTrail_monitoring'
)
SELECT subject, b.run_id, b.namespace, b.name, version, base_version, now.name AS dataset,
    was.columns::VARCHAR AS before, now.columns::VARCHAR AS after
FROM baseline AS b
JOIN profile AS now ON now.run_id = b.run_id
JOIN profile AS was ON was.run_id = base_run_id AND (
    (was.namespace, was.name) = (now.namespace, now.name)
    -- what lies elsewhere now is held against what was read in its place
    OR was.number = now.number AND (was.namespace, was.name) NOT IN (
        SELECT (namespace, name) FROM profile WHERE run_id = b.run_id))
UNION ALL BY NAME
SELECT subject, concat('PSI of ', one ->> '$.column', ' in use') AS finding,
    concat('at most ', $psi_above::DOUBLE) AS expected, one ->> '$.statistic' AS actual, m.run_id,
    s.namespace, s.name, s.version, one ->> '$.column' AS "column", try_cast(one ->> '$.statistic' AS DOUBLE) AS psi
FROM subject AS s
JOIN monitored AS m ON CASE WHEN s.digest IS NOT NULL AND m.digest IS NOT NULL
    THEN s.digest = regexp_replace(m.digest, '^[A-Za-z0-9-]+:', '')
    ELSE m.version = s.version AND m.model IN (s.name, s.model) END
WHERE one ->> '$.method' = 'psi' AND one ->> '$.column' GLOB $column::VARCHAR
QUALIFY row_number() OVER (PARTITION BY subject, "column" ORDER BY until DESC, happened_at DESC) = 1
    AND psi > $psi_above
