-- From which columns each wanted column was made, at most $most.
-- The facet `lineage` speaks before `columnLineage`, as in table `edges`. What decides over all rows (a filter, a join)
-- goes into each column. A feature, the label or the weights of a model are the columns that its run took of that name.
WITH target AS (
    SELECT DISTINCT m.*, w.to_column FROM made AS m JOIN wanted_column AS w USING (run_id, to_namespace, to_name)
),
said AS (
    SELECT target.*, f.value, f.key = 'lineage' AS lineage FROM target JOIN near_facets AS f USING (run_id, namespace, name)
    WHERE f.scope = 'output' AND f.key IN ('lineage', 'columnLineage')
    UNION ALL
    SELECT target.*, entry, true
    FROM (
        SELECT run_id, unnest(value -> '$.entries[*]') AS entry FROM near_facets SEMI JOIN target USING (run_id)
        WHERE scope = 'job' AND key = 'lineage'
    ) JOIN target USING (run_id)
    WHERE (entry ->> '$.namespace', entry ->> '$.name') = (namespace, name)
),
field AS (
    SELECT *, unnest(map_entries(from_json(value -> '$.fields', '"MAP(VARCHAR, JSON)"'))) AS entry FROM said
),
stated AS (
    SELECT run_id, to_namespace, to_name, to_column, lineage, unnest(list_concat(
        entry.value -> '$.inputFields[*]', entry.value -> '$.inputs[*]',
        value -> '$.dataset[*]', value -> '$.inputs[*]')) AS source
    FROM field WHERE entry.key IN (to_column, concat('inputs.', to_column))
),
source AS (
    SELECT run_id, to_namespace, to_name, to_column, source ->> '$.namespace' AS namespace,
        source ->> '$.name' AS name, source ->> '$.field' AS "column",
        list_transform(json_extract(source, '$.transformations[*]'), lambda one: lower(concat_ws(
            ' ', one ->> '$.type', one ->> '$.subtype'))) AS how
    FROM (FROM stated QUALIFY lineage = max(lineage) OVER (PARTITION BY run_id, to_namespace, to_name))
    UNION ALL
    SELECT run_id, to_namespace, to_name, to_column, f.namespace, f.name, to_column, [CASE
            WHEN to_column = f.value ->> '$.labelColumn' THEN 'label'
            WHEN list_contains(f.value ->> '$.labelColumns[*]', to_column) THEN 'label'
            WHEN to_column = f.value ->> '$.weightColumn' THEN 'weight'
            ELSE 'feature' END]
    FROM target JOIN near_facets AS f USING (run_id)
    JOIN near_run_datasets AS i ON i.run_id = f.run_id AND (i.namespace, i.name) = (f.namespace, f.name)
    JOIN near_run_datasets AS o ON (o.run_id, o.role, o.namespace, o.name, o.kind)
        = (target.run_id, 'output', target.namespace, target.name, 'model')
    WHERE target.run_id NOT IN (SELECT run_id FROM stated)
        AND f.key = 'modelTrail_dataUse' AND i.role = 'input' AND i.use = 'train'
        AND list_contains(list_concat(
            f.value ->> '$.features[*]', f.value ->> '$.labelColumns[*]',
            [f.value ->> '$.labelColumn', f.value ->> '$.weightColumn']), to_column)
)
SELECT s.run_id, s.to_namespace, s.to_name, to_column, s.namespace, s.name, s."column",
    list_sort(list_distinct(flatten(list(how)))) AS how, coalesce(any_value(i.kind), 'dataset') AS kind,
    any_value(i.version) AS version, any_value(i.fingerprint) AS fingerprint,
    any_value(i.use) AS use, any_value(i.rows) AS rows, any_value(i.identities) AS identities,
    count(*) OVER (PARTITION BY s.run_id, s.to_namespace, s.to_name, to_column) AS total
FROM source AS s
LEFT JOIN near_run_datasets AS i ON i.run_id = s.run_id AND i.role = 'input'
    AND (i.namespace, i.name) = (s.namespace, s.name)
WHERE s.name IS NOT NULL AND s."column" IS NOT NULL
GROUP BY s.run_id, s.to_namespace, s.to_name, to_column, s.namespace, s.name, s."column"
ORDER BY s.run_id, s.to_namespace, s.to_name, to_column, s.name, s."column", s.namespace LIMIT $most
