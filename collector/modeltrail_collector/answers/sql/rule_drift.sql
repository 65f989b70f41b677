-- kind = "drift": the population stability index (PSI) of a column of what a version was trained on against another
-- version of the same model, by the profiles of both; and what monitoring measured of a version in use.
-- Bins are those of the version held against, the outer ones open; a share of nothing counts as 0.0001.
WITH profile AS (
    SELECT b.namespace, b.name, b.version, side, "column", any_value(told) AS told
    FROM (
        SELECT b.*, side, p.field.key AS "column", p.field.value AS told
        FROM (
            SELECT *, 'now' AS side, run_id AS of_run FROM baseline
            UNION ALL SELECT *, 'then', base_run_id FROM baseline
        ) AS b
        JOIN (
            SELECT run_id, namespace, name,
                unnest(map_entries(from_json(value -> '$.columns', '"MAP(VARCHAR, JSON)"'))) AS field
            FROM facets WHERE scope = 'input_facet' AND key = 'modelTrail_featureProfile'
        ) AS p ON p.run_id = b.of_run
        JOIN run_datasets AS d ON d.run_id = p.run_id AND d.role = 'input' AND d.use = 'train'
            AND (d.namespace, d.name) = (p.namespace, p.name)
    ) AS b
    WHERE "column" GLOB $column::VARCHAR
    GROUP BY ALL
),
histogram AS (
    SELECT namespace, name, version, side, "column",
        from_json(json_extract(told, '$.histogram.edges'), '["DOUBLE"]') AS edges,
        from_json(json_extract(told, '$.histogram.counts'), '["DOUBLE"]') AS counts
    FROM profile WHERE json_extract(told, '$.histogram') IS NOT NULL
),
bin AS (
    SELECT *, edges[i] AS low, edges[i + 1] AS high, counts[i] / nullif(list_sum(counts), 0) AS share
    FROM (SELECT *, unnest(range(1, len(counts) + 1)) AS i FROM histogram WHERE len(edges) = len(counts) + 1)
),
numeric_share AS (
    SELECT r.namespace, r.name, r.version, r."column", r.i::VARCHAR AS part, any_value(r.share) AS before,
        sum(c.share * CASE
            WHEN c.high > c.low THEN greatest(0, least(c.high, top) - greatest(c.low, bottom)) / (c.high - c.low)
            WHEN c.low >= bottom AND (c.low < top OR top = 'inf') THEN 1 ELSE 0 END) AS after
    FROM (
        SELECT *, CASE WHEN i = 1 THEN '-inf'::DOUBLE ELSE low END AS bottom,
            CASE WHEN i = len(counts) THEN 'inf'::DOUBLE ELSE high END AS top
        FROM bin WHERE side = 'then'
    ) AS r
    JOIN bin AS c ON c.side = 'now' AND (c.namespace, c.name, c.version, c."column")
        = (r.namespace, r.name, r.version, r."column")
    GROUP BY r.namespace, r.name, r.version, r."column", r.i
),
category AS (
    SELECT namespace, name, version, side, "column", part, n / sum(n) OVER (
        PARTITION BY namespace, name, version, side, "column") AS share
    FROM (
        SELECT namespace, name, version, side, "column", one ->> '$.value' AS part,
            try_cast(one ->> '$.count' AS DOUBLE) AS n
        FROM (SELECT *, unnest(json_extract(told, '$.topK[*]')) AS one FROM profile)
        UNION ALL
        SELECT namespace, name, version, side, "column", NULL, try_cast(told ->> '$.other' AS DOUBLE)
        FROM profile WHERE json_extract(told, '$.topK') IS NOT NULL
    )
    WHERE n > 0
),
category_share AS (
    SELECT namespace, name, version, "column", part,
        coalesce(sum(share) FILTER (side = 'then'), 0) AS before, coalesce(sum(share) FILTER (side = 'now'), 0) AS after
    FROM category GROUP BY ALL
),
psi AS (
    SELECT namespace, name, version, "column", sum(
        (greatest(after, 1e-4) - greatest(before, 1e-4)) * ln(greatest(after, 1e-4) / greatest(before, 1e-4))) AS value
    FROM (FROM numeric_share UNION ALL FROM category_share)
    -- a column that is a category in one profile and a number in the other has no common parts
    SEMI JOIN (SELECT namespace, name, version, "column" FROM profile GROUP BY ALL HAVING count(DISTINCT side) = 2) AS in_both
        USING (namespace, name, version, "column")
    GROUP BY ALL
),
monitored AS (
    SELECT run_id, happened_at, value ->> '$.model.name' AS model, value ->> '$.model.version' AS version,
        value ->> '$.model.digest' AS digest, unnest(json_extract(value, '$.drift[*]')) AS one,
        value ->> '$.window.end' AS until
    FROM facets WHERE scope = 'run' AND key = 'modelTrail_monitoring'
)
SELECT subject, concat('PSI of ', "column") AS finding, concat('at most ', $psi_above::DOUBLE, ' against version ',
    base_version) AS expected, round(value, 4)::VARCHAR AS actual, run_id, namespace, name, version, "column",
    value AS psi, base_version
FROM psi JOIN baseline USING (namespace, name, version)
WHERE value > $psi_above
UNION ALL BY NAME
SELECT subject, concat('PSI of ', one ->> '$.column', ' in use') AS finding,
    concat('at most ', $psi_above::DOUBLE) AS expected, one ->> '$.statistic' AS actual, m.run_id,
    namespace, name, s.version, one ->> '$.column' AS "column", try_cast(one ->> '$.statistic' AS DOUBLE) AS psi
FROM subject AS s
JOIN monitored AS m ON CASE WHEN s.digest IS NOT NULL AND m.digest IS NOT NULL
    THEN s.digest = regexp_replace(m.digest, '^[A-Za-z0-9-]+:', '')
    ELSE m.version = s.version AND m.model IN (s.name, s.model) END
WHERE one ->> '$.method' = 'psi' AND one ->> '$.column' GLOB $column
QUALIFY row_number() OVER (PARTITION BY subject, "column" ORDER BY until DESC, happened_at DESC) = 1
    AND psi > $psi_above
