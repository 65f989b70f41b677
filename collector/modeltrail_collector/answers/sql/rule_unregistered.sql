-- kind = "unregistered": a model version serves at an endpoint and no registry knows it. Its digest decides where both
-- sides say one.
SELECT concat(s.name, '@', coalesce(s.version, substr(s.digest, 1, 12), '?'), ' at ', s.endpoint) AS subject,
    'not registered' AS finding, 'a registered model version' AS expected, 'in no registry that the log knows' AS actual,
    s.run_id, s.endpoint, s.environment, s.namespace, s.name, s.version, s.digest
FROM serving AS s
WHERE s.endpoint GLOB $endpoint::VARCHAR AND coalesce(s.environment, '') GLOB $environment::VARCHAR
    AND NOT EXISTS (FROM models AS m WHERE m.registered_name IS NOT NULL AND m.digest = s.digest)
    AND NOT EXISTS (FROM models AS m WHERE m.registered_name IS NOT NULL AND m.version = s.version
        AND s.name IN (m.name, m.registered_name) AND (m.digest IS NULL OR s.digest IS NULL))
