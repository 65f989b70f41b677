-- What may be seen of a log, in tables that grow with its jobs and datasets, not with its runs. `run` is the runs that
-- may be seen; a dataset is there where one of them, or an event about it alone, speaks of it.
CREATE OR REPLACE TEMP VIEW run AS SELECT * FROM runs WHERE {visible};

-- What no run says: facets of JobEvents and DatasetEvents, those that hold.
CREATE OR REPLACE TEMP TABLE told AS
SELECT scope, namespace, name, key, value, happened_at, topic, topic_id, "partition", "offset" FROM facets
WHERE run_id IS NULL AND {told_visible};

-- Other names of datasets (symlinks). One that has other names itself is none, of two that name each other the later is.
CREATE OR REPLACE TEMP TABLE alias AS
WITH said AS (
    SELECT key_namespace AS alias_namespace, key AS alias_name,
        arg_max({{'namespace': namespace, 'name': name}}, last_event_at) AS meant
    FROM (SELECT * FROM mentions WHERE how = 'identity' AND {mention_visible})
    -- The file that a path led to is another name of it for that run alone: the path may be a link that moves.
    WHERE (key_namespace <> namespace OR key <> name) AND NOT (namespace = 'file' AND key_namespace = 'file')
    GROUP BY ALL
)
SELECT said.alias_namespace, said.alias_name, said.meant.namespace, said.meant.name
FROM said LEFT JOIN said AS further
    ON further.alias_namespace = said.meant.namespace AND further.alias_name = said.meant.name
WHERE further.alias_name IS NULL
    OR (further.meant.namespace = said.alias_namespace AND further.meant.name = said.alias_name
        AND (said.alias_namespace, said.alias_name) > (further.alias_namespace, further.alias_name));

-- Which job reads and writes which dataset, and in which run last; `current` says that its last runs do.
CREATE OR REPLACE TEMP TABLE use AS
WITH uses AS (
    SELECT job_namespace, job_name, role, coalesce(alias.namespace, d.namespace) AS namespace,
        coalesce(alias.name, d.name) AS name, min(first_event_at) AS first_at, max(last_event_at) AS last_at,
        max({{'began': coalesce(started_at, first_event_at), 'run_id': run_id}}) AS latest
    FROM (SELECT run_id, role, namespace, name FROM run_datasets) AS d JOIN run USING (run_id)
    LEFT JOIN alias ON alias.alias_namespace = d.namespace AND alias.alias_name = d.name
    GROUP BY ALL
)
SELECT * EXCLUDE (latest), latest.began AS began, latest.run_id AS run_id,
    latest = max(latest) OVER (PARTITION BY job_namespace, job_name, role) AS current
FROM uses;

-- Jobs that no run is of in the end: a run of several (Dagster has one for all its assets), and JobEvents.
CREATE OR REPLACE TEMP TABLE spoken AS
WITH said AS (
    SELECT job_namespace, job_name, run_id, coalesce(event_time, ingested_at) AS happened_at
    FROM events WHERE job_name IS NOT NULL AND NOT duplicate AND {visible}
),
other AS (SELECT DISTINCT job_namespace, job_name FROM said EXCEPT SELECT job_namespace, job_name FROM run)
SELECT job_namespace, job_name, run_id, min(happened_at) AS first_at, max(happened_at) AS last_at
FROM said SEMI JOIN other USING (job_namespace, job_name)
WHERE run_id IS NULL OR {mention_visible} GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE job AS
SELECT namespace, name, max(parent) AS parent, min(first_at) AS first_at, max(last_at) AS last_at,
    coalesce(max(latest), []) AS latest
FROM (
    SELECT job_namespace AS namespace, job_name AS name, arg_max(parent_job_name, last_event_at) AS parent,
        min(first_event_at) AS first_at, max(last_event_at) AS last_at,
        max_by(run_id, {{'began': coalesce(started_at, first_event_at), 'run_id': run_id}}, {latest}) AS latest
    FROM run GROUP BY ALL
    UNION ALL
    SELECT job_namespace, job_name, NULL, min(first_at), max(last_at),
        max_by(run_id, {{'began': first_at, 'run_id': run_id}}, {latest}) FILTER (run_id IS NOT NULL)
    FROM spoken GROUP BY ALL
)
GROUP BY namespace, name;

-- `written_by` and `read_by` are the last runs that did; both are null where only a DatasetEvent speaks of it.
CREATE OR REPLACE TEMP TABLE dataset AS
SELECT namespace, name, min(first_at) AS first_at, max(last_at) AS last_at,
    arg_max(run_id, began) FILTER (role = 'output') AS written_by,
    arg_max(run_id, began) FILTER (role = 'input') AS read_by
FROM (
    SELECT namespace, name, first_at, last_at, role, run_id, began FROM use
    UNION ALL
    SELECT namespace, name, min(happened_at), max(happened_at), 'told', NULL, NULL
    FROM told WHERE scope = 'dataset' GROUP BY ALL
)
GROUP BY namespace, name;
