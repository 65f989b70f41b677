-- One row per model version. Registered: the registry's version; else the first 12 digits of the artifact's digest.
-- `run_id` is the run that made the artifact: the first that trained and wrote this digest under this name and
-- version; else under any name. A registration in another run only adds the name. An alias belongs to the version
-- that it was given to last. A version that was said of several bytes is that of the last; the others are one of
-- their own: it, `+` and the first 12 digits of their digest. The four columns of times say between which events
-- the runs that speak of it lie; who has an alias by now, `aliases.sql` says. Of a run that trained several models the
-- facet `modelTrail_training` tells of the last one; what it says of another one by its `modelId`, and what that
-- says of itself, counts for that.
WITH named AS (FROM model_output SEMI JOIN touched USING (namespace, name)),
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
        registration.value IS NOT NULL AS is_registered,
        registration.value -> '$.aliases' AS given, coalesce(registration.value ->> '$.stage', '') AS put_into,
        model.value ->> '$.framework' AS model_framework, model.value ->> '$.task' AS model_task,
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
        AND artifact.namespace = d.namespace AND artifact.name = d.name
    LEFT JOIN model_facet AS registration
        ON registration.run_id = d.run_id AND registration.key = 'modelTrail_registration'
        AND registration.namespace = d.namespace AND registration.name = d.name
    LEFT JOIN model_facet AS model
        ON model.run_id = d.run_id AND model.key = 'modelTrail_model'
        AND model.namespace = d.namespace AND model.name = d.name
    LEFT JOIN run_times AS runs ON runs.run_id = d.run_id
),
called AS (
    SELECT *, coalesce(
        registered_version,
        CASE WHEN version IS NOT NULL AND (digest IS NULL OR NOT starts_with(digest, version)) THEN version END,
        digest[:12], right(run_id, 12)
    ) AS said_version,
    training IS NOT NULL AND coalesce(written, '') <> 'false' AS is_made
    FROM sighting
),
own AS (FROM called SEMI JOIN touched USING (namespace, name)),
-- Few are said of several bytes: a window over all would hold everything that was said in memory.
disputed AS (
    SELECT namespace, name, said_version, arg_max(digest, place) AS last_digest
    FROM own GROUP BY ALL HAVING count(DISTINCT digest) > 1
),
-- What is said of a version is said of one content, as far as it says which.
versioned AS (
    SELECT own.*, CASE WHEN digest <> last_digest THEN concat(said_version, '+', digest[:12]) ELSE said_version
        END AS model_version
    FROM own LEFT JOIN disputed USING (namespace, name, said_version)
),
maker AS (
    SELECT digest, coalesce(arg_min(run_id, place) FILTER (is_made), arg_min(run_id, place)) AS run_id,
        arg_min(training, place) FILTER (is_made) AS training,
        arg_min(artifact, place) AS artifact,
        min(first_event_at) AS first_event_at, max(last_event_at) AS last_event_at,
        min(first_ingested_at) AS first_ingested_at, max(last_ingested_at) AS last_ingested_at
    FROM called WHERE digest IS NOT NULL
    GROUP BY digest
),
told AS (
    SELECT
        namespace, name, model_version AS version, any_value(said_version) AS said_version,
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
        max(registered_name) AS registered_name,
        arg_min(versioned.run_id, place) FILTER (is_registered) AS registered_run_id,
        coalesce(from_json(arg_max(given, place), '["VARCHAR"]'), []) AS given_aliases,
        arg_max(happened_at, place) FILTER (given IS NOT NULL) AS given_at,
        arg_max(versioned.run_id, place) FILTER (given IS NOT NULL) AS given_by,
        nullif(arg_max(put_into, place) FILTER (is_registered), '') AS stage,
        least(min(versioned.first_event_at), min(maker.first_event_at)) AS first_event_at,
        greatest(max(versioned.last_event_at), max(maker.last_event_at)) AS last_event_at,
        least(min(versioned.first_ingested_at), min(maker.first_ingested_at)) AS first_ingested_at,
        greatest(max(versioned.last_ingested_at), max(maker.last_ingested_at)) AS last_ingested_at
    FROM versioned
    LEFT JOIN maker USING (digest)
    GROUP BY namespace, name, model_version
)
SELECT
    told.* EXCLUDE (said_version, training, artifact) REPLACE (
        coalesce(training ->> '$.framework', framework) AS framework,
        coalesce(training ->> '$.task', task) AS task
    ),
    concat('m', sha256(concat(namespace, chr(9), name))[:2]) AS bucket,
    training ->> '$.algorithm' AS algorithm,
    training ->> '$.frameworkVersion' AS framework_version,
    artifact ->> '$.digestAlgorithm' AS digest_algorithm,
    artifact ->> '$.uri' AS uri,
    try_cast(artifact ->> '$.sizeBytes' AS BIGINT) AS size_bytes,
    given_aliases AS aliases
FROM told
