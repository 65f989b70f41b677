-- One row per model version. Registered: the registry's version; else the first 12 digits of the artifact's digest.
-- `run_id` is the run that made the artifact: the first that trained and wrote this digest under this name and
-- version; else under any name; else the first that wrote it, before those that found it. A registration in another run
-- only adds the name. What a registry deleted was given no alias, and says when that was; which of those that were given
-- it has by now, `aliases.sql` says. A version that was said of several bytes is that of the last; the others are one of
-- their own: it, `+` and the first 12 digits of their digest. Four columns say between which events the runs that speak of
-- it lie. Of a run that trained several models the facet `modelTrail_training` tells of the last one; what it says of
-- another one by its `modelId`, and what that says of itself, counts for that.
WITH act AS (
    -- What was done in registries, in its order; only `register` and `delete` say whether a version is there.
    SELECT
        run_id, namespace, name, value ->> '$.version' AS version,
        CASE WHEN value ->> '$.action' = 'delete' THEN '[]' ELSE value -> '$.aliases' END AS given,
        CASE coalesce(value ->> '$.action', 'register') WHEN 'register' THEN false WHEN 'delete' THEN true END AS is_gone,
        coalesce(value ->> '$.action' = 'register', false) AS is_registration,
        coalesce(value ->> '$.stage', CASE WHEN NOT is_registration THEN '' END) AS put_into,
        coalesce(try_cast(value ->> '$.at' AS TIMESTAMPTZ), happened_at) AS done_at, happened_at,
        row_number() OVER (ORDER BY done_at, happened_at, topic, topic_id, "partition", "offset") AS act
    FROM model_facet WHERE key = 'modelTrail_registration'
),
named AS (FROM model_output SEMI JOIN touched USING (namespace, name)),
put_out AS (
    FROM named UNION ALL
    (FROM model_output SEMI JOIN named USING (digest) ANTI JOIN touched USING (namespace, name))
),
sighting AS (
    SELECT
        d.*,
        -- Only what is told of it: a version holds the most of these in memory.
        artifact.value ->> '$.written' AS written,
        CASE WHEN artifact.value IS NOT NULL THEN json_object(
            'digestAlgorithm', artifact.value ->> '$.digestAlgorithm', 'uri', artifact.value ->> '$.uri',
            'sizeBytes', artifact.value ->> '$.sizeBytes') END AS artifact,
        d.registered_name IS NOT NULL OR d.registered_version IS NOT NULL AS is_registered,
        model.value ->> '$.framework' AS model_framework, model.value ->> '$.task' AS model_task,
        try_cast(model.value ->> '$.step' AS BIGINT) AS step,
        CASE
            WHEN training.value IS NULL THEN NULL
            WHEN model.value ->> '$.algorithm' IS NULL THEN json_object(
                'algorithm', training.value ->> '$.algorithm', 'task', training.value ->> '$.task',
                'framework', training.value ->> '$.framework',
                'frameworkVersion', training.value ->> '$.frameworkVersion')
            ELSE json_object(
                'algorithm', model.value ->> '$.algorithm',
                'task', model.value ->> '$.task', 'framework', model.value ->> '$.framework',
                'frameworkVersion', coalesce(
                    list_filter(json_extract(training.value, '$.models[*]'),
                        lambda one: one ->> '$.modelId' = model.value ->> '$.modelId')[1] ->> '$.frameworkVersion',
                    CASE WHEN model.value ->> '$.framework' = training.value ->> '$.framework'
                        THEN training.value ->> '$.frameworkVersion' END)
            )
        END AS training,
        runs.first_event_at, runs.last_event_at, runs.first_ingested_at, runs.last_ingested_at
    FROM put_out AS d
    LEFT JOIN model_facet AS training
        ON training.run_id = d.run_id AND training.key = 'modelTrail_training'
    LEFT JOIN model_facet AS artifact
        ON artifact.run_id = d.run_id AND artifact.key = 'modelTrail_modelArtifact'
        AND artifact.namespace = d.namespace AND artifact.name = d.name AND artifact.part IN ('', d.part)
    LEFT JOIN model_facet AS model
        ON model.run_id = d.run_id AND model.key = 'modelTrail_model'
        AND model.namespace = d.namespace AND model.name = d.name AND model.part IN ('', d.part)
    LEFT JOIN run_times AS runs ON runs.run_id = d.run_id
),
called AS (
    SELECT *, coalesce(
        registered_version,
        CASE WHEN version IS NOT NULL AND (digest IS NULL OR NOT starts_with(digest, version)) THEN version END,
        digest[:12], right(run_id, 12)
    ) AS said_version,
    training IS NOT NULL AND coalesce(written, '') <> 'false' AS is_made,
    artifact IS NOT NULL AND coalesce(written, '') <> 'false' AS is_written
    FROM sighting
),
own AS (FROM called SEMI JOIN touched USING (namespace, name)),
-- Few are said of several bytes: a window over all would hold everything that was said in memory.
disputed AS (
    SELECT namespace, name, said_version, arg_max(digest, place) AS last_digest
    FROM own GROUP BY ALL HAVING count(DISTINCT digest) > 1
),
-- What is said of a version is said of one content: of that which it says, else of the one told last before.
meant AS (
    SELECT own.run_id, namespace, name, arg_max(told.digest, told.place) AS digest
    FROM own JOIN (
        SELECT namespace, name, said_version, digest, place FROM own SEMI JOIN disputed USING (namespace, name, said_version)
        WHERE digest IS NOT NULL
    ) AS told USING (namespace, name, said_version)
    WHERE own.digest IS NULL AND told.place < own.place
    GROUP BY ALL
),
versioned AS (
    SELECT own.*, CASE WHEN coalesce(own.digest, meant.digest) <> last_digest
        THEN concat(said_version, '+', coalesce(own.digest, meant.digest)[:12]) ELSE said_version END AS model_version
    FROM own
    LEFT JOIN disputed USING (namespace, name, said_version)
    LEFT JOIN meant USING (run_id, namespace, name)
),
acted AS (
    SELECT namespace, name, said_version, model_version AS version, act.* EXCLUDE (run_id, namespace, name, version)
    FROM versioned JOIN act USING (run_id, namespace, name)
    WHERE coalesce(act.version, said_version) = said_version
),
-- An alias is of a version, whatever bytes that is; it is certain bytes that were deleted.
deleted AS (
    SELECT namespace, name, version, arg_max(done_at, act) AS deleted_at
    FROM acted WHERE is_gone IS NOT NULL
    GROUP BY ALL HAVING arg_max(is_gone, act)
),
-- Who does something to an alias or a stage of a version says what it has then; who registers it, once more and from
-- elsewhere maybe, says only what it is given.
restated AS (
    SELECT *, max(act) FILTER (given IS NOT NULL AND NOT is_registration)
        OVER (PARTITION BY namespace, name, said_version) AS last_act
    FROM acted
),
registered AS (
    SELECT namespace, name, said_version AS version,
        list_sort(list_distinct(flatten(
            list(from_json(given, '["VARCHAR"]')) FILTER (given IS NOT NULL AND act >= coalesce(last_act, 0))
        ))) AS given_aliases,
        nullif(arg_max(put_into, act), '') AS stage
    FROM restated GROUP BY ALL
),
-- As texts such times have the order that they have.
given AS (
    SELECT namespace, name, version, list(concat(alias, chr(9), last_at) ORDER BY alias) AS given_at
    FROM (
        SELECT namespace, name, version, alias,
            max(concat(done_at AT TIME ZONE 'UTC', ' ', happened_at AT TIME ZONE 'UTC')) AS last_at
        FROM (
            SELECT namespace, name, said_version AS version, done_at, happened_at,
                unnest(from_json(given, '["VARCHAR"]')) AS alias
            FROM acted
        )
        GROUP BY ALL
    )
    GROUP BY ALL
),
maker AS (
    SELECT digest,
        coalesce(
            arg_min(run_id, place) FILTER (is_made), arg_min(run_id, place) FILTER (is_written), arg_min(run_id, place)
        ) AS run_id,
        arg_min(training, place) FILTER (is_made) AS training,
        arg_min(artifact, place) AS artifact, min(step) AS step,
        min(first_event_at) AS first_event_at, max(last_event_at) AS last_event_at,
        min(first_ingested_at) AS first_ingested_at, max(last_ingested_at) AS last_ingested_at
    FROM called WHERE digest IS NOT NULL
    GROUP BY digest
),
told AS (
    SELECT
        namespace, name, model_version AS version,
        coalesce(
            arg_min(versioned.run_id, place) FILTER (is_made AND digest IS NOT NULL),
            any_value(maker.run_id), arg_min(versioned.run_id, place)
        ) AS run_id,
        arg_max(digest, place) AS digest,
        min(happened_at) AS created_at,
        coalesce(
            arg_min(versioned.training, place) FILTER (is_made AND digest IS NOT NULL),
            any_value(maker.training), arg_max(versioned.training, place) FILTER (is_made)
        ) AS training,
        coalesce(arg_max(versioned.artifact, place), arg_max(maker.artifact, place)) AS artifact,
        max(model_framework) AS framework, max(model_task) AS task,
        coalesce(any_value(maker.step), arg_max(versioned.step, place)) AS step,
        max(registered_name) AS registered_name,
        arg_min(versioned.run_id, place) FILTER (is_registered) AS registered_run_id,
        least(min(versioned.first_event_at), min(maker.first_event_at)) AS first_event_at,
        greatest(max(versioned.last_event_at), max(maker.last_event_at)) AS last_event_at,
        least(min(versioned.first_ingested_at), min(maker.first_ingested_at)) AS first_ingested_at,
        greatest(max(versioned.last_ingested_at), max(maker.last_ingested_at)) AS last_ingested_at
    FROM versioned
    LEFT JOIN maker USING (digest)
    GROUP BY namespace, name, model_version
)
SELECT
    told.* EXCLUDE (training, artifact) REPLACE (
        coalesce(training ->> '$.framework', framework) AS framework,
        coalesce(training ->> '$.task', task) AS task
    ),
    stage, coalesce(given_aliases, []) AS given_aliases, given_at,
    given_aliases AS aliases,
    deleted_at,
    concat('m', sha256(concat(namespace, chr(9), name))[:2]) AS bucket,
    training ->> '$.algorithm' AS algorithm,
    training ->> '$.frameworkVersion' AS framework_version,
    artifact ->> '$.digestAlgorithm' AS digest_algorithm,
    artifact ->> '$.uri' AS uri,
    try_cast(artifact ->> '$.sizeBytes' AS BIGINT) AS size_bytes
FROM told
LEFT JOIN deleted USING (namespace, name, version)
LEFT JOIN registered USING (namespace, name, version)
LEFT JOIN given USING (namespace, name, version)
