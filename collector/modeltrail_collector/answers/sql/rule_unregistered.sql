-- kind = "unregistered": a model version serves at an endpoint and no registry knows it, or it was deleted from its own.
-- Its digest decides where both sides say one; where it may be one of several versions, all of these are deleted.
SELECT concat(s.name, '@', coalesce(s.version, substr(s.digest, 1, 12), '?'), ' at ', s.endpoint) AS subject,
    'not registered' AS finding, 'a registered model version' AS expected, 'in no registry that the log knows' AS actual,
    s.run_id, s.endpoint, s.environment, s.namespace, s.name, s.version, s.digest
FROM serving AS s
WHERE s.endpoint GLOB $endpoint::VARCHAR AND coalesce(s.environment, '') GLOB $environment::VARCHAR
    AND NOT EXISTS (FROM models AS m WHERE m.registered_name IS NOT NULL AND m.digest = s.digest)
    AND NOT EXISTS (FROM models AS m WHERE m.registered_name IS NOT NULL AND m.version = s.version
        AND s.name IN (m.name, m.registered_name) AND (m.digest IS NULL OR s.digest IS NULL)
        AND coalesce(s.namespace, m.namespace) = m.namespace)
UNION ALL
SELECT concat(subject, ' at ', endpoint), 'deleted from its registry', 'a registered model version',
    concat('at ', deleted_at, ' by ' || actor), deleted_by, endpoint, environment, namespace, name, version, digest
FROM (
    SELECT * FROM (SELECT * EXCLUDE (deleted_at) FROM served) LEFT JOIN deleted USING (namespace, name, version)
    WHERE registered_name IS NOT NULL AND endpoint GLOB $endpoint AND coalesce(environment, '') GLOB $environment
    QUALIFY bool_and(deleted_by IS NOT NULL) OVER (PARTITION BY deployed_by)
        AND row_number() OVER (PARTITION BY deployed_by ORDER BY deleted_at DESC, version) = 1
)
