-- The rows of `told`, rows of `models`, with the aliases that each version has: of those that its registry said last
-- that it has the ones that no other version was given later.
given AS (
    SELECT namespace, name, version, given_aliases, split_part(given, chr(9), 1) AS alias,
        split_part(given, chr(9), 2) AS given_at
    FROM (SELECT namespace, name, version, given_aliases, unnest(given_at) AS given FROM told)
),
last AS (SELECT namespace, name, alias, max(given_at) AS given_at FROM given GROUP BY ALL),
held AS (
    SELECT namespace, name, version, list(alias ORDER BY alias) AS aliases
    FROM given JOIN last USING (namespace, name, alias, given_at)
    WHERE list_contains(given_aliases, alias)
    GROUP BY ALL
)
SELECT told.* REPLACE (
    CASE WHEN stage IS NOT NULL THEN list_append(coalesce(held.aliases, []), stage)
        WHEN given_at IS NOT NULL THEN coalesce(held.aliases, []) END AS aliases
)
FROM told LEFT JOIN held USING (namespace, name, version)
