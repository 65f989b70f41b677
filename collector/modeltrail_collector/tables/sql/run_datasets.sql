-- The places of all runs, each with what went into it in its run (`edges`).
WITH made AS (
    SELECT run_id, to_namespace AS namespace, to_name AS name,
        list_sort(list_distinct(list(concat(from_namespace, chr(9), from_name)))) AS made_of
    FROM edges GROUP BY ALL
)
SELECT places.* EXCLUDE (is_in_part), coalesce(made_of, []) AS made_of
FROM places LEFT JOIN made USING (run_id, namespace, name)
ORDER BY bucket, run_id, role, namespace, name, version
