-- Which input went into which output of a run: the `lineage` facet where the run has one, else an output's
-- `columnLineage`, else what it was renamed from, else every input into that output. Sorted by run; `via` says who spoke.
WITH lineage AS (
    SELECT bucket, run_id, entry ->> '$.namespace' AS to_namespace, entry ->> '$.name' AS to_name, entry
    FROM (
        SELECT bucket, run_id, unnest(value -> '$.entries[*]') AS entry
        FROM facet WHERE scope = 'job' AND key = 'lineage' AND run_id IS NOT NULL
    )
    WHERE coalesce(entry ->> '$.type', 'DATASET') = 'DATASET'
    UNION ALL
    SELECT bucket, run_id, namespace, name, value
    FROM facet WHERE scope = 'output' AND key = 'lineage' AND run_id IS NOT NULL
),
stated AS (
    SELECT *, 'lineage' AS via FROM (
        SELECT bucket, run_id, to_namespace, to_name,
            unnest(list_concat(entry -> '$.inputs[*]', entry -> '$.fields.*.inputs[*]')) AS source
        FROM lineage
    )
    UNION ALL
    SELECT *, 'columnLineage' AS via FROM (
        SELECT bucket, run_id, namespace, name,
            unnest(list_concat(value -> '$.fields.*.inputFields[*]', value -> '$.dataset[*]')) AS source
        FROM facet
        WHERE scope = 'output' AND key = 'columnLineage' AND run_id NOT IN (SELECT run_id FROM lineage)
    )
    WHERE run_id IS NOT NULL
),
checked AS (
    -- Dagster has one run id for all assets of a run: what one of them was checked for went into none of the others.
    SELECT DISTINCT run_id, namespace, name
    FROM facet
    WHERE scope = 'input_facet' AND key = 'dataQualityAssertions'
        AND contains(value ->> '$._producer', '/integration/dagster')
)
SELECT DISTINCT
    bucket, run_id, to_namespace, to_name,
    source ->> '$.namespace' AS from_namespace, source ->> '$.name' AS from_name, via
FROM stated
WHERE source ->> '$.name' IS NOT NULL AND coalesce(source ->> '$.type', 'DATASET') = 'DATASET'
    AND to_name IS NOT NULL
UNION ALL
SELECT bucket, run_id, to_namespace, to_name, from_namespace, from_name, 'lifecycleStateChange' FROM moved
UNION ALL
SELECT DISTINCT output.bucket, output.run_id, output.namespace, output.name, input.namespace, input.name, 'cartesian'
FROM places AS output
JOIN places AS input ON input.run_id = output.run_id AND input.role = 'input' AND output.role = 'output'
    AND output.use IS DISTINCT FROM 'drop'
ANTI JOIN moved AS found ON found.run_id = output.run_id AND found.to_namespace = output.namespace
    AND found.to_name = output.name
ANTI JOIN (SELECT * FROM moved WHERE NOT is_read) AS moved ON moved.run_id = input.run_id
    AND moved.from_namespace = input.namespace AND moved.from_name = input.name
ANTI JOIN checked ON checked.run_id = input.run_id AND checked.namespace = input.namespace
    AND checked.name = input.name
ANTI JOIN (SELECT run_id FROM lineage) AS spoken ON spoken.run_id = output.run_id
ANTI JOIN stated ON stated.run_id = output.run_id AND stated.to_namespace = output.namespace
    AND stated.to_name = output.name
ORDER BY ALL
