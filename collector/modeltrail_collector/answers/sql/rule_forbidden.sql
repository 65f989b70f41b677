-- kind = "forbidden": versions that may have learned from a dataset, directly or through what was made from it. The way
-- goes by names; whether the very content went into a version is then looked at by its trace.
WITH RECURSIVE called AS (
    SELECT run_id, namespace, name, namespace AS to_namespace, name AS to_name FROM run_datasets WHERE role = 'output'
    UNION
    SELECT run_id, namespace, name, split_part(identity, chr(9), 1), split_part(identity, chr(9), 2)
    FROM (SELECT *, unnest(identities) AS identity FROM run_datasets WHERE role = 'output')
    UNION
    SELECT run_id, namespace, name, namespace, unnest(list_transform(range(1, len(string_split(name, '/'))),
        lambda n: array_to_string(string_split(name, '/')[:n], '/')))
    FROM run_datasets WHERE role = 'output'
),
read AS (
    SELECT run_id, namespace, name, fingerprint, namespace AS by_namespace, name AS by_name
    FROM run_datasets WHERE role = 'input'
    UNION
    SELECT run_id, namespace, name, fingerprint, split_part(identity, chr(9), 1), split_part(identity, chr(9), 2)
    FROM (SELECT *, unnest(identities) AS identity FROM run_datasets WHERE role = 'input')
),
reached AS (
    SELECT DISTINCT run_id, namespace, name FROM read
    WHERE ($dataset::VARCHAR IS NULL OR by_name GLOB $dataset OR by_name GLOB concat('*/', $dataset::VARCHAR)
            OR concat(by_namespace, '/', by_name) GLOB $dataset)
        AND ($fingerprint::VARCHAR IS NULL OR starts_with(fingerprint, $fingerprint))
    UNION
    SELECT i.run_id, i.namespace, i.name
    FROM reached AS r
    JOIN edges AS e ON (e.run_id, e.from_namespace, e.from_name) = (r.run_id, r.namespace, r.name)
    JOIN called AS c ON (c.run_id, c.namespace, c.name) = (e.run_id, e.to_namespace, e.to_name)
    JOIN read AS i ON (i.by_namespace, i.by_name) = (c.to_namespace, c.to_name)
)
SELECT DISTINCT s.subject, s.run_id, s.namespace, s.name, s.version
FROM subject AS s JOIN reached AS r ON r.run_id = s.run_id
