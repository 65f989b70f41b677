-- kind = "metric", moved against another version: the figures of both versions, with the content that they were measured
-- on, to be paired as `why` does. What lies closer together than the bound on both sides cannot have moved, however it is
-- paired, and is left out: of the rest alone the content is looked at, or a rule about all versions would take too long.
WITH told AS MATERIALIZED (FROM figure_by_source WHERE metric = $metric::VARCHAR),
held AS (
    SELECT b.subject, b.base_version, b.version AS of_version, true AS is_now, f.* FROM baseline AS b
    JOIN told AS f ON (f.namespace, f.name, f.version) = (b.namespace, b.name, b.version)
    UNION ALL
    SELECT b.subject, b.base_version, b.version, false, f.* FROM baseline AS b
    JOIN told AS f ON (f.namespace, f.name, f.version) = (b.namespace, b.name, b.base_version)
),
asked AS MATERIALIZED (
    FROM held
    WINDOW alike AS (PARTITION BY namespace, name, of_version, base_version, source = 'evaluation', split,
        CASE WHEN starts_with(slice, '{') THEN '{' ELSE slice END)
    QUALIFY bool_or(is_now) OVER alike AND bool_or(NOT is_now) OVER alike
        AND max(value) OVER alike - min(value) OVER alike > coalesce($moved_by::DOUBLE, $fell_by, $rose_by)
),
read AS (
    FROM run_datasets SEMI JOIN asked USING (run_id) WHERE role = 'input'
    QUALIFY row_number() OVER (PARTITION BY run_id, name ORDER BY namespace, version) = 1
)
SELECT a.subject, a.base_version, a.is_now, a.namespace, a.name, a.of_version AS version, a.metric, a.value, a.split,
    a.dataset, a.slice, a.source, a.run_id, r.namespace AS place, r.fingerprint, r.version AS data_version
FROM asked AS a LEFT JOIN read AS r ON (r.run_id, r.name) = (a.run_id, a.dataset)
