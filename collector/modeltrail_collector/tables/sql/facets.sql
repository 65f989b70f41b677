-- The last facet per run (or, without a run, per job or dataset), place and key, with the event it came from.
-- A key replaces whole; an absent key deletes nothing; `_deleted` does. Facets that add up have a `part` each.
-- Key '' says that the dataset was there. Of a job whose events are windows (COMPLETE_SNAPSHOT) the last one counts.
WITH counted AS (
    SELECT * FROM event
    WHERE NOT duplicate
    QUALIFY NOT snapshot OR row_number() OVER (PARTITION BY run_id, snapshot ORDER BY position DESC) = 1
),
said AS (
    SELECT counted.bucket, counted.run_id, counted.position, unnest(flat.facets, recursive := true)
    FROM flat
    JOIN counted USING (topic, topic_id, "partition", "offset")
),
last AS (
    SELECT
        bucket, run_id, scope, namespace, name, key, part,
        arg_max(value, position) AS value,
        max(position) AS position
    FROM said
    GROUP BY ALL
)
SELECT last.*, event.happened_at, event.topic, event.topic_id, event."partition", event."offset"
FROM last
JOIN event USING (position)
WHERE NOT (contains(coalesce(value, ''), '"_deleted"') AND coalesce(value ->> '$._deleted' = 'true', false))
ORDER BY bucket, run_id, scope, namespace, name, key, part
