-- `run_datasets` by name: what a name, another name of it (symlinks), the folder of an output, the folder that Spark
-- begins to load a model from, a registered name or the digest of all its bytes stands for, in which run; and, by its name and by its digest, which model version a run judged
-- (`evaluated`, with what the evaluation says of it). A question that starts from a name reads one bucket of these and
-- not every day of the others.
WITH said AS (
    SELECT d.* EXCLUDE (model_id, part_ids), runs.started_at, coalesce(runs.ended_at, runs.last_event_at) AS wrote_at, runs.first_event_at,
        runs.last_event_at, runs.first_ingested_at, runs.last_ingested_at
    FROM places AS d JOIN runs USING (run_id)
),
keyed AS (
    SELECT 'name' AS how, name AS key, namespace AS key_namespace, said.* FROM said
    UNION ALL
    SELECT 'identity', split_part(identity, chr(9), 2), split_part(identity, chr(9), 1), * EXCLUDE (identity)
    FROM (SELECT *, unnest(identities) AS identity FROM said)
    UNION ALL
    SELECT 'registered', registered_name, namespace, said.* FROM said WHERE registered_name IS NOT NULL
    UNION ALL
    -- Data in memory is nowhere else, and what holds nothing is everywhere.
    SELECT 'digest', fingerprint, '', said.* FROM said
    WHERE fingerprint IS NOT NULL AND (kind = 'model' OR (
        namespace <> 'inmemory://' AND NOT is_in_part AND length(fingerprint) = 64
        AND fingerprint <> sha256('') AND rows IS DISTINCT FROM 0
    ))
    UNION ALL
    SELECT DISTINCT 'folder', folder, namespace, * EXCLUDE (folder) FROM (
        SELECT * REPLACE (folder AS name, NULL AS version, NULL AS fingerprint, NULL AS kind, NULL AS rows,
            NULL AS identities, NULL AS use, NULL AS capture, NULL AS registered_name, NULL AS registered_version,
            NULL AS happened_at)
        FROM (
            SELECT *, unnest(list_transform(
                range(1, len(split(name, '/'))), lambda n: array_to_string(split(name, '/')[1:n], '/')
            )) AS folder
            FROM said WHERE role = 'output' AND use IS DISTINCT FROM 'drop'
        )
    )
    WHERE folder <> ''
    UNION ALL
    SELECT 'loaded', regexp_replace(name, '/metadata$', ''), namespace, said.* FROM said
    WHERE role = 'input' AND ends_with(name, '/metadata')
    UNION ALL
    SELECT 'evaluated', unnest(CASE WHEN digest IS NULL THEN [name] ELSE [name, digest] END), namespace,
        * EXCLUDE (digest, model_version) REPLACE (model_version AS version, digest AS fingerprint)
    FROM (
        SELECT said.*, f.value ->> '$.modelVersion' AS model_version,
            regexp_replace(f.value ->> '$.modelDigest', '^[A-Za-z0-9-]+:', '') AS digest
        FROM said JOIN facet AS f USING (run_id, namespace, name)
        WHERE f.part IN ('', coalesce(registered_version, version)) AND said.role = 'input' AND f.scope = 'input_facet' AND f.key = 'modelTrail_evaluation'
    )
)
SELECT concat('d', sha256(key)[:1]) AS bucket, bucket AS run_bucket, * EXCLUDE (bucket) FROM keyed
ORDER BY concat('d', sha256(key)[:1]), key, how, run_id, role, namespace, name
