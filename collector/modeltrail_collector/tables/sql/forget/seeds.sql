-- The old runs, and the first of those that are kept: the ones that speak of a model version in use.
CREATE TEMP TABLE old AS
SELECT run_id FROM flat WHERE run_id IS NOT NULL GROUP BY run_id HAVING max(ingested_at) < (FROM horizon);
CREATE TEMP TABLE mention AS
SELECT run_id, namespace, name, coalesce(registered_version, version) AS version, fingerprint
FROM run_datasets WHERE kind = 'model'
UNION ALL
SELECT run_id, model_namespace, model_name, model_version, model_digest FROM deployments
WHERE model_name IS NOT NULL OR model_digest IS NOT NULL;
CREATE TEMP TABLE calling AS
SELECT * FROM mention ANTI JOIN old USING (run_id)
UNION ALL
SELECT run_id, model_namespace, model_name, model_version, model_digest FROM deployments;
CREATE TEMP TABLE loaded AS
SELECT namespace, regexp_replace(name, '/metadata$', '') AS name FROM run_datasets ANTI JOIN old USING (run_id)
WHERE role = 'input' AND ends_with(name, '/metadata');
CREATE TEMP TABLE in_use AS
SELECT * FROM models
WHERE registered_name IS NOT NULL OR registered_run_id IS NOT NULL
    OR (namespace, name) IN (SELECT (namespace, name) FROM loaded)
    OR digest IN (SELECT fingerprint FROM calling)
    OR EXISTS (
        FROM calling WHERE calling.name = models.name AND calling.version = models.version
            AND coalesce(calling.namespace, models.namespace) = models.namespace
    );
CREATE TEMP TABLE kept AS
SELECT run_id, 0 AS round FROM (
    SELECT run_id FROM in_use
    UNION SELECT registered_run_id FROM in_use
    UNION SELECT run_id FROM mention WHERE fingerprint IN (SELECT digest FROM in_use)
    UNION SELECT mention.run_id FROM mention JOIN in_use USING (name, version)
        WHERE coalesce(mention.namespace, in_use.namespace) = in_use.namespace
)
WHERE run_id IN (FROM old)
