-- What the query of a rule reads. Of the tables all rows but those of runs that told of alerts, so that no rule fires
-- on what a rule said. `version`: each model version, once; `subject`: the versions that a rule is about; `baseline`:
-- each of these with the version it is held against; `figure`: the last value of each metric of each version, which
-- `figure_by_source` has of what its run said of itself and of evaluations apart.
own_run AS (SELECT run_id FROM temp.main.runs WHERE job_namespace = 'modeltrail://alerts'),
runs AS (FROM temp.main.runs ANTI JOIN own_run USING (run_id)),
events AS (FROM temp.main.events ANTI JOIN own_run USING (run_id)),
facets AS (FROM temp.main.facets ANTI JOIN own_run USING (run_id)),
run_datasets AS (FROM temp.main.run_datasets ANTI JOIN own_run USING (run_id)),
edges AS (FROM temp.main.edges ANTI JOIN own_run USING (run_id)),
params AS (FROM temp.main.params ANTI JOIN own_run USING (run_id)),
metrics AS (FROM temp.main.metrics ANTI JOIN own_run USING (run_id)),
deployments AS (FROM temp.main.deployments ANTI JOIN own_run USING (run_id)),
version AS (
    SELECT *, concat(model, '@', version) AS subject,
        lag(version) OVER (PARTITION BY namespace, name ORDER BY created_at, version) AS previous,
        row_number() OVER (
            PARTITION BY namespace, name ORDER BY deleted_at IS NOT NULL, created_at DESC, version DESC
        ) = 1 AS newest
    FROM (
        SELECT *, coalesce(registered_name, name) AS model FROM models AS m
        WHERE registered_name IS NOT NULL OR digest IS NULL OR digest NOT IN (
            SELECT digest FROM models WHERE registered_name IS NOT NULL AND digest IS NOT NULL)
    )
),
served AS (
    -- The versions in force at endpoints: that which a deployment names, else all that are its bytes.
    SELECT * EXCLUDE (named) FROM (
        SELECT v.*, s.run_id AS deployed_by, s.endpoint, s.environment,
            coalesce(s.version = v.version AND s.name IN (v.name, v.model)
                AND coalesce(s.namespace, v.namespace) = v.namespace, false) AS named
        FROM version AS v JOIN serving AS s ON s.digest = v.digest
    )
    QUALIFY named OR NOT bool_or(named) OVER (PARTITION BY deployed_by)
    UNION ALL
    SELECT v.*, s.run_id, s.endpoint, s.environment
    FROM version AS v JOIN serving AS s ON s.version = v.version AND s.name IN (v.name, v.model)
    WHERE (s.digest IS NULL OR v.digest IS NULL) AND coalesce(s.namespace, v.namespace) = v.namespace
),
subject AS (
    FROM version
    WHERE (model GLOB $model::VARCHAR OR name GLOB $model) AND CASE $versions::VARCHAR
        WHEN 'newest' THEN newest
        WHEN 'deployed' THEN (namespace, name, version) IN (SELECT (namespace, name, version) FROM served)
        ELSE true END
),
baseline AS (
    SELECT s.*, b.version AS base_version, b.run_id AS base_run_id
    FROM subject AS s JOIN version AS b ON (b.namespace, b.name) = (s.namespace, s.name) AND b.version <> s.version
    WHERE CASE WHEN $against::VARCHAR = 'previous' THEN b.version = s.previous
        ELSE b.version = $against OR list_contains(b.aliases, $against) END
),
claimed AS (
    -- By runs that judged bytes which several versions of one name are: those that they name, not by the digest alone,
    -- else those that they, their parents or roots made or registered. As `sources.judging`.
    SELECT run_id, namespace, name, coalesce(list(version) FILTER (named), list(version) FILTER (own)) AS versions
    FROM (
        SELECT DISTINCT m.run_id, v.namespace, v.name, v.version,
            (m.model_namespace, m.model_name, m.model_version) = (v.namespace, v.name, v.version)
                AND NOT starts_with(v.digest, v.version) AS named,
            list_has_any([v.run_id, v.registered_run_id], [r.run_id, r.parent_run_id, r.root_run_id]) AS own
        FROM (SELECT * FROM version QUALIFY count(*) OVER (PARTITION BY namespace, name, digest) > 1) AS v
        JOIN metrics AS m ON m.model_digest = v.digest AND m.source = 'evaluation' JOIN runs AS r ON r.run_id = m.run_id
    )
    GROUP BY run_id, namespace, name
),
-- A rule about one metric reads no other.
measured AS (FROM metrics WHERE $metric::VARCHAR IS NULL OR name = $metric),
telling AS (
    -- Runs that tell the models apart that they made.
    SELECT DISTINCT run_id FROM run_datasets WHERE model_id IS NOT NULL
),
made AS (
    -- The models that these made, and what they call them.
    SELECT run_id, namespace, name, max(value ->> '$.modelId') AS model_id,
        max(regexp_replace(value ->> '$.digest', '^[A-Za-z0-9-]+:', '')) AS digest
    FROM facets SEMI JOIN telling USING (run_id)
    WHERE (scope, key) IN (('output', 'modelTrail_model'), ('output_facet', 'modelTrail_modelArtifact'))
    GROUP BY ALL
    HAVING NOT coalesce(bool_or(value ->> '$.written' = 'false'), false)
),
of_several AS (
    SELECT run_id FROM made GROUP BY run_id
    HAVING count(model_id) > 0 AND count(DISTINCT coalesce(model_id, concat(namespace, chr(9), name))) > 1
),
called AS (
    -- What the run that made a version calls it; where it calls none so, the one model that its figures are of.
    SELECT v.namespace, v.name, v.version, coalesce(
        list(DISTINCT o.model_id) FILTER ((o.namespace, o.name) = (v.namespace, v.name) AND o.model_id IS NOT NULL),
        list(DISTINCT o.model_id) FILTER (o.digest = v.digest AND o.model_id IS NOT NULL),
        list(DISTINCT m.model_id) FILTER (m.model_id IS NOT NULL AND s.run_id IS NULL)
    ) AS ids
    FROM (FROM version SEMI JOIN (FROM measured WHERE model_id IS NOT NULL) USING (run_id)) AS v
    LEFT JOIN made AS o ON o.run_id = v.run_id
    LEFT JOIN of_several AS s ON s.run_id = v.run_id
    LEFT JOIN (
        -- All figures, of which few are of a model by its modelId: from the table, for `metrics` would be read as a whole.
        SELECT DISTINCT run_id, model_id FROM temp.main.metrics WHERE model_id IS NOT NULL AND source <> 'evaluation'
    ) AS m ON m.run_id = v.run_id
    GROUP BY ALL
),
told_figure AS (
    SELECT namespace, name, version, metric, dataset, split, slice, value, run_id, source, happened_at, step
    FROM (
        SELECT v.*, m.name AS metric, m.* EXCLUDE (bucket, name, run_id), m.run_id AS run_id
        FROM (SELECT namespace, name, version, digest FROM version) AS v JOIN measured AS m ON m.model_digest = v.digest
        LEFT JOIN claimed AS c ON (c.run_id, c.namespace, c.name) = (m.run_id, v.namespace, v.name)
        WHERE source = 'evaluation' AND (c.versions IS NULL OR list_contains(c.versions, v.version))
        UNION ALL
        SELECT v.*, m.name, m.* EXCLUDE (bucket, name, run_id), m.run_id
        FROM (SELECT namespace, name, version, digest FROM version) AS v JOIN measured AS m
            ON (m.model_namespace, m.model_name, m.model_version) = (v.namespace, v.name, v.version)
        WHERE source = 'evaluation' AND (m.model_digest IS NULL OR v.digest IS NULL)
        UNION ALL
        SELECT v.* EXCLUDE (run_id, saved_at_step), m.name, m.* EXCLUDE (bucket, name, run_id), m.run_id
        FROM (SELECT namespace, name, version, digest, run_id, step AS saved_at_step FROM version) AS v
        JOIN measured AS m ON m.run_id = v.run_id AND (m.step > v.saved_at_step AND m.model_id IS NOT NULL) IS NOT TRUE
        LEFT JOIN called AS c ON (c.namespace, c.name, c.version) = (v.namespace, v.name, v.version)
        LEFT JOIN of_several AS s ON s.run_id = m.run_id
        -- As `own.figures`.
        WHERE source <> 'evaluation'
            AND CASE WHEN m.model_id IS NULL THEN s.run_id IS NULL ELSE c.ids = [m.model_id] END
    )
    WHERE value IS NOT NULL
),
figure_by_source AS (
    FROM told_figure
    QUALIFY row_number() OVER (
        PARTITION BY namespace, name, version, metric, dataset, split, slice, source = 'evaluation'
        ORDER BY source DESC, happened_at DESC, step DESC, run_id) = 1
),
figure AS (
    SELECT namespace, name, version, metric, dataset, split, slice, value, run_id
    FROM told_figure
    QUALIFY row_number() OVER (
        PARTITION BY namespace, name, version, metric, dataset, split, slice
        ORDER BY source DESC, happened_at DESC, step DESC, run_id) = 1
),
