-- What a run gave another name, or altered where it is (`lifecycleStateChange`): its content is what lay there before.
-- What the run wrote itself, and then gave its name, it made of its inputs; so it did where it altered and read others.
WITH output AS (
    SELECT bucket, run_id, namespace, name, max(happened_at) AS happened_at,
        coalesce(max(CASE WHEN key = 'lifecycleStateChange' THEN upper(value ->> '$.lifecycleStateChange') END), '') AS change,
        max(CASE WHEN key = 'lifecycleStateChange' THEN value ->> '$.previousIdentifier.namespace' END) AS old_namespace,
        max(CASE WHEN key = 'lifecycleStateChange' THEN value ->> '$.previousIdentifier.name' END) AS old_name
    FROM facet WHERE run_id IS NOT NULL AND scope = 'output' AND key IN ('', 'lifecycleStateChange')
    GROUP BY ALL
),
input AS (
    SELECT DISTINCT run_id, namespace, name FROM facet WHERE scope = 'input' AND key = ''
),
moved AS (
    SELECT bucket, run_id, happened_at, namespace AS to_namespace, name AS to_name,
        old_namespace AS from_namespace, old_name AS from_name
    FROM output
    ANTI JOIN (SELECT * FROM output WHERE change NOT IN ('RENAME', 'DROP')) AS wrote ON wrote.run_id = output.run_id
        AND wrote.namespace = output.old_namespace AND wrote.name = output.old_name
    WHERE change = 'RENAME' AND old_namespace IS NOT NULL AND old_name IS NOT NULL
    UNION ALL
    SELECT bucket, run_id, happened_at, namespace, name, namespace, name
    FROM output ANTI JOIN input USING (run_id)
    WHERE change = 'ALTER'
)
SELECT moved.*, input.run_id IS NOT NULL AS is_read
FROM moved LEFT JOIN input ON input.run_id = moved.run_id
    AND input.namespace = moved.from_namespace AND input.name = moved.from_name
