-- The versions of one dataset: one for each run that wrote it, one for each content that was read and never written.
SELECT 'output' AS role, run_id, max(wrote_at) AS at, NULL AS version, NULL AS fingerprint FROM mentioned
WHERE role = 'output' AND namespace = $namespace AND name = $name
GROUP BY run_id
UNION ALL
SELECT 'input', arg_max(run_id, began), min(began), min(version), min(fingerprint)
FROM ({resolved})
WHERE written_by IS NULL AND namespace = $namespace AND name = $name
GROUP BY coalesce(version, fingerprint)
