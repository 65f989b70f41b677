-- The versions of a job: its runs by what they read and wrote, and the last of each.
WITH told AS (
    SELECT run.run_id, coalesce(started_at, first_event_at) AS began,
        coalesce(list_sort(list(DISTINCT place) FILTER (role = 'input')), []) AS inputs,
        coalesce(list_sort(list(DISTINCT place) FILTER (role = 'output')), []) AS outputs
    FROM (SELECT * FROM run WHERE job_namespace = $namespace AND job_name = $name) AS run
    LEFT JOIN (
        SELECT run_id, role, {'namespace': coalesce(alias.namespace, d.namespace),
            'name': coalesce(alias.name, d.name)} AS place
        FROM run_datasets AS d
        LEFT JOIN alias ON alias.alias_namespace = d.namespace AND alias.alias_name = d.name
    ) AS used USING (run_id)
    GROUP BY ALL
)
SELECT inputs, outputs, min(began) AS first_at, max(began) AS last_at, arg_max(run_id, began) AS run_id
FROM told GROUP BY inputs, outputs
