-- One step up from the runs that were kept last: the old runs that wrote what these read (the same content, also where
-- it was copied to, else the last before), and their parents. How many there are.
INSERT INTO kept
WITH reader AS (SELECT run_id FROM kept WHERE round = (SELECT max(round) FROM kept)),
named AS (
    SELECT role, run_id, namespace, name, version, fingerprint, happened_at FROM run_datasets
    UNION ALL
    SELECT role, run_id, split_part(identity, chr(9), 1), split_part(identity, chr(9), 2), version, fingerprint,
        happened_at
    FROM (SELECT *, unnest(identities) AS identity FROM run_datasets)
),
wanted AS (
    SELECT DISTINCT named.* REPLACE (coalesce(runs.started_at, named.happened_at) AS happened_at)
    FROM named SEMI JOIN reader USING (run_id) LEFT JOIN runs USING (run_id) WHERE role = 'input'
),
written AS (SELECT * FROM named WHERE role = 'output'),
writer AS (
    SELECT written.run_id FROM wanted JOIN written USING (namespace, name)
    WHERE written.version = wanted.version
    UNION
    SELECT run_id FROM written SEMI JOIN wanted USING (fingerprint)
    UNION
    SELECT written.run_id FROM wanted ASOF JOIN written
        ON wanted.namespace = written.namespace AND wanted.name = written.name
        AND wanted.happened_at >= written.happened_at
    UNION
    -- Spark writes the parts of a folder that others read.
    SELECT run_id FROM (
        SELECT written.run_id FROM wanted JOIN written
            ON written.namespace = wanted.namespace AND starts_with(written.name, wanted.name || '/')
            AND wanted.happened_at >= written.happened_at
        QUALIFY row_number() OVER (
            PARTITION BY wanted.run_id, wanted.namespace, wanted.name ORDER BY written.happened_at DESC
        ) = 1
    )
    UNION SELECT parent_run_id FROM runs SEMI JOIN reader USING (run_id)
    UNION SELECT root_run_id FROM runs SEMI JOIN reader USING (run_id)
)
SELECT run_id, (SELECT max(round) + 1 FROM kept) FROM writer
WHERE run_id IN (FROM old) AND run_id NOT IN (SELECT run_id FROM kept)
