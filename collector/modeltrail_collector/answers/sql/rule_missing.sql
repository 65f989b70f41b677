-- kind = "missing": facts that nobody recorded of a version, or of the run that made it.
WITH known AS (
    SELECT s.namespace, s.name, s.version, CASE f.key
        WHEN 'modelTrail_codeState' THEN 'code_state' WHEN 'sourceCodeLocation' THEN 'code_state'
        WHEN 'modelTrail_environment' THEN 'environment' WHEN 'modelTrail_hyperparameters' THEN 'hyperparameters'
        WHEN 'modelTrail_training' THEN 'training' WHEN 'modelTrail_featureTransformations' THEN 'transformations' END AS fact
    FROM subject AS s JOIN facets AS f ON f.run_id = s.run_id AND f.scope IN ('run', 'job')
    WHERE f.value IS NOT NULL
    UNION
    SELECT s.namespace, s.name, s.version, 'evaluation' FROM subject AS s JOIN metrics AS m ON m.source = 'evaluation'
        AND m.model_digest = s.digest
    UNION
    SELECT s.namespace, s.name, s.version, 'evaluation' FROM subject AS s JOIN metrics AS m ON m.source = 'evaluation'
        AND (m.model_namespace, m.model_name, m.model_version) = (s.namespace, s.name, s.version)
    UNION
    SELECT s.namespace, s.name, s.version, 'data_fingerprint' FROM subject AS s
    JOIN run_datasets AS d ON d.run_id = s.run_id AND d.role = 'input' AND d.kind = 'dataset'
    GROUP BY ALL HAVING bool_and(d.fingerprint IS NOT NULL)
    UNION
    SELECT namespace, name, version, 'registration' FROM subject WHERE registered_name IS NOT NULL
)
SELECT subject, concat('no ', replace(fact, '_', ' ')) AS finding, replace(fact, '_', ' ') AS expected,
    'not recorded' AS actual, run_id, namespace, name, version, fact
FROM (SELECT *, unnest($facts::VARCHAR[]) AS fact FROM subject) ANTI JOIN known USING (namespace, name, version, fact)
