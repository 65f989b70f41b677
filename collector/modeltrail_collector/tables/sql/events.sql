-- One row per accepted or warned record. Of copies of one event (equal canonical JSON) the first counts;
-- the others are marked and take no part in anything else. `position` orders what counts.
SELECT
    * EXCLUDE (earlier),
    earlier > 1 AS duplicate,
    row_number() OVER (ORDER BY happened_at, topic, topic_id, "partition", "offset") AS position
FROM (
    SELECT
        * EXCLUDE (facets),
        row_number() OVER (
            PARTITION BY digest ORDER BY ingested_at, topic, topic_id, "partition", "offset"
        ) AS earlier
    FROM flat
)
