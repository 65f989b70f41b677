-- Who read and wrote what, near some names: under the name that is meant.
SELECT role, run_id, coalesce(alias.namespace, m.namespace) AS namespace, coalesce(alias.name, m.name) AS name,
    version, fingerprint, coalesce(started_at, first_event_at) AS began, wrote_at
FROM (SELECT * FROM near_mentions WHERE how = 'name' AND {visible}) AS m
LEFT JOIN alias ON alias.alias_namespace = m.namespace AND alias.alias_name = m.name
