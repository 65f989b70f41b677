-- The last facet per run (or, without a run, per job or dataset), place and key, with the event it came from.
-- A key replaces whole; an absent key deletes nothing; a tombstone (no value) does. Facets that add up have a `part`
-- each; a tombstone takes all of them. Key '' says that the dataset was there. Of a job whose events are windows (COMPLETE_SNAPSHOT) the last counts.
-- `place` orders facets by event, then within it: to compare it alone spares a copy of each value.
WITH counted AS (
    SELECT * FROM event
    WHERE NOT duplicate
    QUALIFY NOT snapshot OR row_number() OVER (PARTITION BY run_id, snapshot ORDER BY position DESC) = 1
),
said AS (
    SELECT
        counted.bucket, counted.run_id, counted.happened_at, topic, topic_id, "partition", "offset",
        counted.position * 1_000_000 + unnest(range(len(flat.facets))) AS place,
        unnest(flat.facets, recursive := true)
    FROM flat
    JOIN counted USING (topic, topic_id, "partition", "offset")
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
