-- The rows of `told`, rows of `models`, with the aliases that each version has: an alias belongs to the version that
-- it was given to last.
given AS (
    SELECT namespace, name, version, {'at': given_at, 'told_at': given_told_at} AS given, unnest(given_aliases) AS alias
    FROM told
),
last AS (SELECT namespace, name, alias, max(given) AS given FROM given GROUP BY ALL),
held AS (
    SELECT namespace, name, version, list(DISTINCT alias ORDER BY alias) AS aliases
    FROM given JOIN last USING (namespace, name, alias, given)
    GROUP BY ALL
)
SELECT told.* REPLACE (
    CASE WHEN stage IS NOT NULL THEN list_append(coalesce(held.aliases, []), stage)
        WHEN given_aliases <> [] THEN coalesce(held.aliases, [])
        ELSE held.aliases END AS aliases
)
FROM told LEFT JOIN held USING (namespace, name, version)
