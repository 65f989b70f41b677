-- Of what was read: the run that wrote it, by what the reader says of its content, else by the time. A run may read
-- what it has just written itself.
WITH said AS ({reads}),
written AS (SELECT * FROM mentioned WHERE role = 'output')
SELECT said.*, coalesce(
    own.run_id, by_fingerprint.run_id, by_version.run_id,
    CASE WHEN said.version IS NULL AND said.fingerprint IS NULL THEN by_time.run_id END
) AS written_by
FROM said
LEFT JOIN (SELECT DISTINCT run_id, namespace, name, unnest([fingerprint, version]) AS content FROM written) AS own
    ON own.run_id = said.run_id AND own.namespace = said.namespace AND own.name = said.name
    AND own.content = coalesce(said.fingerprint, said.version)
ASOF LEFT JOIN written AS by_fingerprint ON by_fingerprint.namespace = said.namespace
    AND by_fingerprint.name = said.name AND by_fingerprint.fingerprint = said.fingerprint
    AND by_fingerprint.wrote_at <= said.began
ASOF LEFT JOIN written AS by_version ON by_version.namespace = said.namespace
    AND by_version.name = said.name AND by_version.version = said.version
    AND by_version.wrote_at <= said.began
ASOF LEFT JOIN written AS by_time ON by_time.namespace = said.namespace
    AND by_time.name = said.name AND by_time.wrote_at <= said.began
