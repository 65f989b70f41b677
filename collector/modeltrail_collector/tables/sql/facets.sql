-- The last facet per run (or, without a run, per job or dataset), place and key, with the event it came from.
-- A key replaces whole; an absent key deletes nothing; a tombstone (no value) does. Facets that add up have a `part`
-- each; a tombstone takes all of them. Key '' says that the dataset was there. Of a job whose events are windows (COMPLETE_SNAPSHOT) the last counts.
-- Of a run that speaks of several versions of one name, at once or one after the other in a registry, each has facets
-- of its own: their `part` is the version, and what is said of the name alone is said of none of them.
-- `place` orders facets by event, then within it: to compare it alone spares a copy of each value.
WITH counted AS (
    SELECT * FROM event
    WHERE NOT duplicate
    QUALIFY NOT snapshot OR row_number() OVER (PARTITION BY run_id, snapshot ORDER BY position DESC) = 1
),
told AS (
    SELECT
        counted.bucket, counted.run_id, counted.happened_at, topic, topic_id, "partition", "offset",
        counted.position, counted.position * 1_000_000 + unnest(range(len(flat.facets))) AS place,
        unnest(flat.facets, recursive := true)
    FROM flat
    JOIN counted USING (topic, topic_id, "partition", "offset")
),
version AS (
    SELECT DISTINCT run_id, split_part(scope, '_', 1) AS role, namespace, name, position,
        CASE WHEN key = '' THEN part ELSE value ->> '$.version' END AS version
    FROM told
    WHERE run_id IS NOT NULL AND name IS NOT NULL
        AND (key = '' AND part <> '' OR key = 'modelTrail_registration' AND scope IN ('input', 'output'))
),
several AS (
    SELECT run_id, role, namespace, name, list(DISTINCT version) AS versions, max(position) AS until
    FROM version GROUP BY ALL HAVING count(DISTINCT version) > 1
),
-- Of an event that says one version of such a name, that one; what it said before it said several was replaced.
meant AS (
    SELECT run_id, role, namespace, name, position,
        CASE WHEN NOT is_apart AND (list_contains(versions, version) OR position > until) THEN version ELSE '' END AS of_event
    FROM (
        SELECT told.run_id, role, told.namespace, told.name, position,
            coalesce(
                max(CASE WHEN key = 'modelTrail_registration' THEN value ->> '$.version' END),
                max(CASE WHEN key = 'version' THEN value ->> '$.datasetVersion' END), ''
            ) AS version,
            bool_or(key = '' AND part <> '') AS is_apart, any_value(versions) AS versions, any_value(until) AS until
        FROM told JOIN several ON told.run_id = several.run_id AND split_part(scope, '_', 1) = role
            AND told.namespace = several.namespace AND told.name = several.name
        GROUP BY ALL
    )
),
said AS (
    SELECT told.* EXCLUDE (position) REPLACE (CASE WHEN part = '' THEN coalesce(of_event, '') ELSE part END AS part)
    FROM told LEFT JOIN meant ON told.run_id = meant.run_id AND split_part(scope, '_', 1) = role
        AND told.namespace = meant.namespace AND told.name = meant.name AND told.position = meant.position
    WHERE of_event IS NULL OR part <> '' OR of_event <> ''
),
last AS (
    SELECT max(place) AS place FROM said GROUP BY run_id, scope, namespace, name, key, part
),
taken AS (
    SELECT run_id, scope, namespace, name, key, max(place) AS until FROM said
    WHERE value IS NULL AND key <> ''
    GROUP BY ALL
)
SELECT * EXCLUDE (place) FROM said
SEMI JOIN last USING (place)
ANTI JOIN taken ON taken.run_id IS NOT DISTINCT FROM said.run_id AND taken.scope = said.scope
    AND taken.namespace IS NOT DISTINCT FROM said.namespace AND taken.name IS NOT DISTINCT FROM said.name
    AND taken.key = said.key AND place < until
WHERE value IS NOT NULL OR key = ''
ORDER BY bucket, run_id, scope, namespace, name, key, part
