-- One row per model version. Registered: the registry's version; else the first 12 digits of the artifact's digest.
-- `run_id` is the run that made the artifact: the first that trained and wrote this digest under this name and
-- version; else under any name. A registration in another run only adds the name. An alias belongs to the version
-- that it was given to last. A version that was said of several bytes is that of the last; the others are one of
-- their own: it, `+` and the first 12 digits of their digest. The last four columns say between which events the
-- runs that speak of it lie, or of another version that took its alias. Of a run that trained several models the
-- facet `modelTrail_training` tells of the last one; what it says of another one by its `modelId`, and what that
-- says of itself, counts for that.
WITH sighting AS (
    SELECT
        d.*, artifact.value AS artifact, registration.value AS registration,
        model.value AS model, d.fingerprint AS digest,
        CASE WHEN training.value IS NULL OR model.value ->> '$.algorithm' IS NULL THEN training.value
            ELSE json_merge_patch(training.value, json_object(
                'algorithm', model.value ->> '$.algorithm', 'task', model.value ->> '$.task',
                'framework', model.value ->> '$.framework', 'frameworkVersion', coalesce(
                    list_filter(json_extract(training.value, '$.models[*]'),
                        lambda one: one ->> '$.modelId' = model.value ->> '$.modelId')[1] ->> '$.frameworkVersion',
                    CASE WHEN model.value ->> '$.framework' = training.value ->> '$.framework'
                        THEN training.value ->> '$.frameworkVersion' END)
            ))
        END AS training,
        runs.first_event_at, runs.last_event_at, runs.first_ingested_at, runs.last_ingested_at
    FROM run_datasets AS d
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
    WHERE d.role = 'output' AND d.kind = 'model'
),
called AS (
    SELECT *, coalesce(
        registered_version,
        CASE WHEN version IS NOT NULL AND (digest IS NULL OR NOT starts_with(digest, version)) THEN version END,
        digest[:12], right(run_id, 12)
    ) AS said_version, (happened_at, run_id) AS place,
    training IS NOT NULL AND coalesce(artifact ->> '$.written', '') <> 'false' AS is_made
    FROM sighting
),
placed AS (
    SELECT *, CASE
        WHEN digest <> arg_max(digest, place) OVER (PARTITION BY namespace, name, said_version)
        THEN concat(said_version, '+', digest[:12]) ELSE said_version
    END AS model_version
    FROM called
),
versioned AS (
    SELECT *,
        CASE WHEN digest IS NOT NULL THEN arg_min(run_id, place) FILTER (is_made) OVER same END AS made_by,
        CASE WHEN digest IS NOT NULL THEN arg_min(training, place) FILTER (is_made) OVER same END AS made_how
    FROM placed
    WINDOW same AS (PARTITION BY namespace, name, model_version, digest)
),
maker AS (
    SELECT digest, arg_min(run_id, (NOT is_made, happened_at, run_id)) AS run_id,
        arg_min(training, place) FILTER (is_made) AS training,
        arg_min(artifact, (happened_at, run_id)) AS artifact,
        min(first_event_at) AS first_event_at, max(last_event_at) AS last_event_at,
        min(first_ingested_at) AS first_ingested_at, max(last_ingested_at) AS last_ingested_at
    FROM versioned WHERE digest IS NOT NULL
    GROUP BY digest
),
told AS (
    SELECT
        namespace, name, model_version AS version, any_value(said_version) AS said_version,
        coalesce(arg_max(coalesce(made_by, maker.run_id), place), arg_min(versioned.run_id, place)) AS run_id,
        arg_max(digest, place) AS digest,
        min(happened_at) AS created_at,
        coalesce(
            arg_max(coalesce(made_how, maker.training), place),
            arg_max(versioned.training, place) FILTER (is_made)
        ) AS training,
        coalesce(arg_max(versioned.artifact, place), arg_max(maker.artifact, place)) AS artifact,
        max(model ->> '$.framework') AS framework, max(model ->> '$.task') AS task,
        max(registered_name) AS registered_name,
        arg_min(CASE WHEN registration IS NOT NULL THEN versioned.run_id END, place) AS registered_run_id,
        arg_max(registration -> '$.aliases', place) AS aliases,
        max(place) FILTER ((registration -> '$.aliases') IS NOT NULL) AS aliased,
        arg_max(coalesce(registration ->> '$.stage', ''), place) FILTER (registration IS NOT NULL) AS stage,
        least(min(versioned.first_event_at), min(maker.first_event_at)) AS first_event_at,
        greatest(max(versioned.last_event_at), max(maker.last_event_at)) AS last_event_at,
        least(min(versioned.first_ingested_at), min(maker.first_ingested_at)) AS first_ingested_at,
        greatest(max(versioned.last_ingested_at), max(maker.last_ingested_at)) AS last_ingested_at
    FROM versioned
    LEFT JOIN maker USING (digest)
    WHERE (namespace, name) IN (SELECT (namespace, name) FROM touched)
    GROUP BY namespace, name, model_version
),
given AS (
    SELECT namespace, name, said_version AS version, aliased, unnest(from_json(aliases, '["VARCHAR"]')) AS alias,
        max(last_event_at) OVER of_name AS event_at, max(last_ingested_at) OVER of_name AS ingested_at
    FROM told
    WINDOW of_name AS (PARTITION BY namespace, name)
),
held AS (
    SELECT namespace, name, version, coalesce(list(alias ORDER BY alias) FILTER (is_held), []) AS aliases,
        max(event_at) FILTER (NOT is_held) AS event_at, max(ingested_at) FILTER (NOT is_held) AS ingested_at
    FROM (SELECT *, aliased = max(aliased) OVER (PARTITION BY namespace, name, alias) AS is_held FROM given)
    GROUP BY namespace, name, version
)
SELECT
    told.* EXCLUDE (said_version, training, artifact, aliased, stage) REPLACE (
        coalesce(training ->> '$.framework', framework) AS framework,
        coalesce(training ->> '$.task', task) AS task,
        CASE WHEN stage <> '' THEN list_append(coalesce(held.aliases, []), stage) ELSE held.aliases END AS aliases,
        greatest(last_event_at, held.event_at) AS last_event_at,
        greatest(last_ingested_at, held.ingested_at) AS last_ingested_at
    ),
    concat('m', sha256(concat(namespace, chr(9), name))[:2]) AS bucket,
    training ->> '$.algorithm' AS algorithm,
    training ->> '$.frameworkVersion' AS framework_version,
    artifact ->> '$.digestAlgorithm' AS digest_algorithm,
    artifact ->> '$.uri' AS uri,
    try_cast(artifact ->> '$.sizeBytes' AS BIGINT) AS size_bytes
FROM told
LEFT JOIN held USING (namespace, name, version)
ORDER BY namespace, name, created_at, version
