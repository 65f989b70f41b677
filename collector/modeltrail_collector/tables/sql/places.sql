-- One row per run, role and dataset: what went in and out, and which version of it; of several versions of one name one
-- row each. `run_datasets` is this with what went into each. What `is_in_part` has a digest of some of its content only.
WITH several AS (
    SELECT DISTINCT run_id, scope AS role, namespace, name FROM facet WHERE key = '' AND part <> ''
),
place AS (
    SELECT
        bucket, facet.run_id, scope, split_part(scope, '_', 1) AS role, facet.namespace, facet.name, key, value, happened_at,
        CASE WHEN several.run_id IS NULL THEN '' WHEN key = 'modelTrail_registration' THEN value ->> '$.version'
            ELSE part END AS of_version
    FROM facet
    LEFT JOIN several ON facet.run_id = several.run_id AND split_part(facet.scope, '_', 1) = several.role
        AND facet.namespace = several.namespace AND facet.name = several.name
    WHERE facet.run_id IS NOT NULL AND scope IN ('input', 'output', 'input_facet', 'output_facet') AND key <> 'lineage'
    UNION ALL
    SELECT bucket, run_id, 'input', 'input', from_namespace, from_name, '', NULL, happened_at, '' FROM moved WHERE NOT is_read
),
said AS (
    SELECT
        bucket, run_id, role, namespace, name, of_version,
        max(happened_at) AS happened_at,
        max(CASE WHEN key = 'version' THEN value ->> '$.datasetVersion' END) AS version,
        max(CASE WHEN key = 'datasetType' THEN upper(value ->> '$.datasetType') END) AS dataset_type,
        max(CASE WHEN key = 'datasetType' THEN upper(value ->> '$.subType') END) AS sub_type,
        max(CASE WHEN key = 'modelTrail_modelArtifact' THEN value ->> '$.digest' END) AS artifact_digest,
        max(CASE WHEN key = 'modelTrail_evaluation' THEN value ->> '$.modelDigest' END) AS evaluated_digest,
        max(CASE WHEN key = 'modelTrail_dataUse' THEN value ->> '$.fingerprint.digest' END) AS use_digest,
        coalesce(bool_or(key = 'modelTrail_dataUse' AND value ->> '$.fingerprint.scope' <> 'full'), false) AS is_in_part,
        max(CASE WHEN key = 'modelTrail_dataUse' THEN value ->> '$.role' END) AS use,
        bool_and(CASE WHEN key = 'modelTrail_dataUse' THEN try_cast(value ->> '$.followed' AS BOOLEAN) END) AS followed,
        max(CASE WHEN key = 'modelTrail_dataUse' THEN value -> '$.possibleOutputs' END) AS possible,
        max(CASE WHEN key = 'modelTrail_dataUse' THEN value ->> '$.capture' END) AS capture,
        coalesce(bool_or(key = 'lifecycleStateChange' AND upper(value ->> '$.lifecycleStateChange') = 'DROP'), false)
            AS is_dropped,
        max(CASE WHEN key = 'modelTrail_dataUse' THEN try_cast(value ->> '$.fingerprint.rows' AS BIGINT) END)
            AS use_rows,
        max(CASE WHEN key IN ('inputStatistics', 'outputStatistics')
            THEN try_cast(value ->> '$.rowCount' AS BIGINT) END) AS counted_rows,
        arg_max(value ->> '$.name', (happened_at, value)) FILTER (key = 'modelTrail_registration') AS registered_name,
        arg_max(value ->> '$.version', (happened_at, value)) FILTER (key = 'modelTrail_registration') AS registered_version,
        max(CASE WHEN key = 'modelTrail_model' AND scope = 'output' THEN value END) AS model,
        max(CASE WHEN key = 'symlinks' THEN value END) AS symlinks,
        -- Dagster's asset by the path or URI in its metadata: of others `dataSource` is what holds the dataset
        max(CASE WHEN key = 'dataSource' AND contains(value ->> '$._producer', '/integration/dagster')
            THEN regexp_replace(value ->> '$.uri', '^file://(localhost)?/', '/') END) AS located,
        -- Ours by the file itself, which may have another name, or lie behind a symbolic link.
        max(CASE WHEN key = 'dataSource' AND contains(value ->> '$._producer', '/modeltrail/')
            THEN try(url_decode(regexp_extract(value ->> '$.uri', '^file://(/.*)', 1))) END) AS file_path,
        coalesce(bool_or(key IN (
            'modelTrail_model', 'modelTrail_modelArtifact', 'modelTrail_registration', 'modelTrail_evaluation'
        )), false) AS has_model_facet
    FROM place
    GROUP BY ALL
),
typed AS (
    SELECT
        bucket, run_id, role, namespace, name, version,
        regexp_replace(
            coalesce(
                -- an empty digest says that the producer saw no content
                nullif(artifact_digest, ''), nullif(use_digest, ''), nullif(evaluated_digest, ''),
                -- an output's version is its digest where the producer could read all of it
                CASE WHEN regexp_full_match(version, '([A-Za-z0-9-]+:)?[0-9a-f]{64}') THEN version END
            ), '^[A-Za-z0-9-]+:', ''
        ) AS fingerprint,
        -- what a run wrote before it removed it, it wrote
        CASE WHEN is_dropped AND role = 'output' AND counted_rows IS NULL THEN 'drop' ELSE use END AS use,
        followed,
        list_transform(
            from_json(possible, '[{"namespace": "VARCHAR", "name": "VARCHAR"}]'),
            lambda output: concat(output.namespace, chr(9), output.name)
        ) AS possible_outputs,
        coalesce(use_rows, counted_rows) AS rows,
        is_in_part,
        CASE
            WHEN sub_type = 'ENDPOINT' THEN 'endpoint'
            WHEN has_model_facet THEN 'model'
            WHEN dataset_type = 'MODEL' AND coalesce(sub_type, 'ML_MODEL') = 'ML_MODEL' THEN 'model'
            ELSE 'dataset'
        END AS kind,
        capture, registered_name, registered_version, happened_at,
        CASE
            WHEN symlinks IS NOT NULL THEN list_transform(
                from_json(symlinks -> '$.identifiers', '[{"namespace": "VARCHAR", "name": "VARCHAR"}]'),
                lambda link: concat(link.namespace, chr(9), link.name)
            )
            WHEN starts_with(located, '/') THEN [concat('file', chr(9), located)]
            WHEN regexp_matches(located, '^(s3[an]?|gs|abfss)://[^/]+/.') THEN [concat(
                regexp_replace(regexp_extract(located, '^[^:]+://[^/]+'), '^s3[an]:', 's3:'), chr(9),
                regexp_extract(located, '^[^:]+://[^/]+/(.*?)/?$', 1)
            )]
        END AS links,
        CASE WHEN file_path NOT IN ('', name) THEN concat('file', chr(9), file_path) END AS file,
        CASE WHEN file IS NULL OR coalesce(list_contains(links, file), false) THEN links
            ELSE list_concat(links, [file]) END AS identities,
        model ->> '$.modelId' AS model_id, model ->> '$.partIds[*]' AS part_ids
    FROM said
)
SELECT * EXCLUDE (links, file) REPLACE (
    -- A registration may know only where the file lies: the digest then stands beside it, in the same run.
    coalesce(fingerprint, CASE WHEN kind = 'model' THEN (
        SELECT min(file.fingerprint) FROM typed AS file
        WHERE file.run_id = typed.run_id
            AND list_contains(typed.identities, concat(file.namespace, chr(9), file.name))
    ) END) AS fingerprint
)
FROM typed
