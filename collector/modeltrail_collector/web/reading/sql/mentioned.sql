-- Who read and wrote what, near some names: under the name that is meant, and a model with its version in a registry.
SELECT m.role, m.run_id, coalesce(alias.namespace, m.namespace) AS namespace, coalesce(alias.name, m.name) AS name,
    coalesce(m.version, made.version) AS version, m.fingerprint,
    coalesce(m.started_at, m.first_event_at) AS began, m.wrote_at
FROM (SELECT * FROM near_mentions WHERE how = 'name' AND {visible}) AS m
LEFT JOIN (SELECT namespace, name, run_id, max(version) AS version FROM near_models GROUP BY ALL) AS made
    ON m.role = 'output' AND (made.namespace, made.name, made.run_id) = (m.namespace, m.name, m.run_id)
LEFT JOIN alias ON alias.alias_namespace = m.namespace AND alias.alias_name = m.name
