-- The flat rows of the cycles $from ..< $to of a company, from numbers alone. A cycle of a project is six runs:
-- 0 etl, 1 prepare, 2 features, 3 train, 4 evaluate, 5 deploy (of every tenth version; else a report). Each sends
-- ten events: START, RUNNING and COMPLETE; every fiftieth etl ends with FAIL.
CREATE OR REPLACE MACRO facet(key, body) AS concat(
    '{"_producer":"https://modeltrail.dev/benchmarks","_schemaURL":"https://modeltrail.dev/schemas/facets/', key,
    '/1-0-0.json#/$defs/Facet",', body, '}');
CREATE OR REPLACE MACRO content(name, version) AS sha256(concat(name, chr(9), version));
CREATE OR REPLACE TEMP TABLE cycle AS
SELECT c,
    CASE WHEN c % 5 = 0 THEN c // 5 % $often ELSE $often + (c - c // 5 - 1) % $seldom END AS project,
    CASE WHEN c % 5 = 0 THEN c // 5 // $often ELSE (c - c // 5 - 1) // $seldom END + 1 AS version,
    to_timestamp(1735689600 + (c * 31536000) // $cycles) AS began,
    concat('teams/t', project % 50, '/p', project) AS folder
FROM range($from, $to) AS t(c);
CREATE OR REPLACE TEMP TABLE run AS
SELECT cycle.*, k, CASE WHEN k = 5 AND version % 10 > 0 THEN 'report'
        ELSE ['etl', 'prepare', 'features', 'train', 'evaluate', 'deploy'][k + 1] END AS kind,
    concat(kind, '-p', project) AS job, began + to_minutes(k * 20 + c % 7) AS started,
    sha256(concat('run', c, '/', k)) AS h, printf('%012x', epoch_ms(started)) AS ms,
    CASE k WHEN 0 THEN concat(h[1:8], '-', h[9:12], '-4', h[13:15], '-8', h[16:18], '-', h[19:30])
        ELSE concat(ms[1:8], '-', ms[9:12], '-7', h[13:15], '-8', h[16:18], '-', h[19:30]) END AS run_id,
    CASE k WHEN 0 THEN concat('x', sha256(run_id)[1:1]) ELSE strftime(started, '%Y-%m-%d') END AS bucket
FROM cycle, range(6) AS t(k);

-- What each run reads (i) and writes (o), in which version.
CREATE OR REPLACE TEMP TABLE place AS
WITH said(c, k, role, use, namespace, name, version) AS (
    SELECT c, 0, 'input', 'other', 's3://lake', concat('raw/source_', project % 500, '.csv'), version // 7 FROM cycle
    UNION ALL SELECT c, 0, 'input', 'other', 's3://lake', 'reference/countries.parquet', 1 FROM cycle
        WHERE c % greatest($cycles // $fan_out, 1) = 0
    UNION ALL SELECT c, 0, 'input', 'other', 's3://lake', concat('chain/', c, '.parquet'), 1 FROM cycle WHERE c < $chain
    UNION ALL SELECT c, 0, 'output', NULL, 's3://lake', concat('chain/', c + 1, '.parquet'), 1 FROM cycle
        WHERE c < $chain
    UNION ALL SELECT c, k, CASE k WHEN 0 THEN 'output' ELSE 'input' END, CASE k WHEN 0 THEN NULL ELSE 'other' END,
        's3://lake', printf('%s/raw/%05d.parquet', folder, version), version FROM cycle, range(2) AS t(k)
    UNION ALL SELECT c, k, CASE k WHEN 1 THEN 'output' ELSE 'input' END, CASE k WHEN 1 THEN NULL ELSE 'other' END,
        's3://lake', concat(folder, '/prepared.parquet'), version FROM cycle, range(1, 3) AS t(k)
    UNION ALL SELECT c, k, CASE k WHEN 1 THEN 'output' ELSE 'input' END, CASE k WHEN 1 THEN NULL ELSE 'test' END,
        's3://lake', concat(folder, '/holdout.parquet'), version // 10
        FROM cycle, (VALUES (1), (3), (4)) AS t(k)
    UNION ALL SELECT c, k, CASE k WHEN 2 THEN 'output' ELSE 'input' END, CASE k WHEN 2 THEN NULL ELSE 'train' END,
        's3://lake', concat(folder, '/features.parquet'), version FROM cycle, range(2, 4) AS t(k)
    UNION ALL SELECT c, 3, 'output', NULL, 's3://lake', concat(folder, '/model.joblib'), version FROM cycle
    UNION ALL SELECT c, k, CASE k WHEN 3 THEN 'output' ELSE 'input' END, NULL,
        'modeltrail://registry', concat('models/p', project), version
        FROM run WHERE k IN (3, 4) OR kind = 'deploy'
    UNION ALL SELECT c, k, CASE k WHEN 4 THEN 'output' ELSE 'input' END, CASE k WHEN 4 THEN NULL ELSE 'other' END,
        's3://lake', printf('%s/report/%05d.json', folder, version), version
        FROM run WHERE k = 4 OR kind = 'report'
    UNION ALL SELECT c, k, 'output', NULL, 'k8s://prod', concat('endpoints/p', project), version
        FROM run WHERE kind = 'deploy'
)
SELECT said.*, row_number() OVER (PARTITION BY c, k ORDER BY role, name) AS number, content(name, version) AS digest,
    namespace = 'modeltrail://registry' OR ends_with(name, '.joblib') AS model
FROM said;

-- The facets of the events $e, in the order in which `flatten` finds them: run, job, inputs, outputs.
CREATE OR REPLACE TEMP TABLE said AS
WITH run_facet(c, k, e, place, key, part, value) AS (
    SELECT c, k, e, 0, 'parent', '', facet('parent', format(
        '"run":{{"runId":"{}"}},"job":{{"namespace":"ml","name":"cycle-p{}"}}', concat(sha256(concat(c))[:8], '-0000-4000-8000-', sha256(concat(c))[9:20]), project))
    FROM run, (VALUES (0), (9)) AS t(e)
    UNION ALL SELECT c, k, 9, 1, 'errorMessage', '', facet('errorMessage',
        '"message":"source is not there","programmingLanguage":"python"') FROM run WHERE k = 0 AND c % 50 = 7
    UNION ALL SELECT c, k, 9, 2, 'modelTrail_environment', '', facet('modelTrail_environment', format(
        '"python":{{"version":"3.11.{}"}},"packages":[{{"name":"numpy","version":"2.{}.0"}},{{"name":"pandas","version":"2.2.{}"}},{{"name":"scikit-learn","version":"1.{}.0"}}],"packagesSha256":"{}","capture":"observed"',
        version % 9, project % 4, project % 3, 4 + version // 50, sha256(concat(project % 4, project % 3, version // 50))))
    FROM run WHERE k IN (2, 3)
    UNION ALL SELECT c, 3, 9, 3, 'modelTrail_training', '', facet('modelTrail_training',
        '"framework":"scikit-learn","frameworkVersion":"1.7.0","algorithm":"sklearn.ensemble.GradientBoostingClassifier","task":"classification","capture":"observed"')
    FROM cycle
    UNION ALL SELECT c, 3, 9, 4, 'modelTrail_hyperparameters', '', facet('modelTrail_hyperparameters', concat(
        '"params":[', (SELECT string_agg(format('{{"name":"{}","value":{},"type":"int","origin":"default"}}',
            ['max_depth', 'n_estimators', 'min_samples_leaf', 'subsample', 'seed'][n], project % (10 + n)), ',' ORDER BY n)
            FROM range(1, 6) AS t(n)),
        format(',{{"name":"learning_rate","value":{},"type":"float","origin":"explicit"}}],"sha256":"{}"',
            0.1 / (1 + version % 5), sha256(concat(project, version % 5)))))
    FROM cycle
    UNION ALL SELECT c, 3, 9, 5, 'modelTrail_codeState', '', facet('modelTrail_codeState', format(
        '"commit":"{}","dirty":false,"entryPoint":"train.py","capture":"observed"', sha256(concat(project, version // 4))[:40]))
    FROM cycle
    UNION ALL SELECT c, 2, 9, 6, 'modelTrail_featureTransformations', '', facet('modelTrail_featureTransformations',
        '"steps":[{"id":"impute","op":"SimpleImputer","library":"scikit-learn","params":{},"fittedOn":"train"},{"id":"scale","op":"StandardScaler","library":"scikit-learn","params":{},"fittedOn":"train"}],"capture":"observed"')
    FROM cycle
    UNION ALL SELECT c, 3, 9, 7, 'modelTrail_metrics', '', facet('modelTrail_metrics', format(
        '"metrics":[{{"name":"accuracy","value":{},"split":"test"}},{{"name":"auc","value":{},"split":"test"}}],"capture":"observed"',
        0.8 + (c % 97) / 1000, 0.85 + (c % 89) / 1000)) FROM cycle
    UNION ALL SELECT c, 3, e, 8, 'modelTrail_metricSeries', e::VARCHAR, facet('modelTrail_metricSeries', format(
        '"seq":{},"points":[{{"name":"loss","value":{},"step":{},"split":"train"}}]', e, 0.7 / e, e * 10))
    FROM cycle, range(1, 9) AS t(e)
    UNION ALL SELECT c, k, 9, 9, 'modelTrail_deployment', '', facet('modelTrail_deployment', format(
        '"action":"update","endpoint":{{"platform":"k8s","name":"p{0}","uri":"k8s://prod/endpoints/p{0}"}},"environment":"production","model":{{"namespace":"modeltrail://registry","name":"models/p{0}","version":"{1}","digest":"{2}"}},"effectiveAt":"{3}","actor":"ci","capture":"declared"',
        project, version, content(concat(folder, '/model.joblib'), version), strftime(started, '%Y-%m-%dT%H:%M:%SZ')))
    FROM run WHERE kind = 'deploy'
),
dataset_facet(c, k, e, number, place, scope, namespace, name, key, value) AS (
    SELECT c, k, e, number, 0, role, namespace, name, '', NULL
    FROM place, (VALUES (0), (9)) AS t(e) WHERE e = 9 OR role = 'input'
    UNION ALL SELECT c, k, 9, number, 1, role, namespace, name, 'schema', facet('schema', format(
        '"fields":[{{"name":"id","type":"BIGINT"}},{{"name":"age","type":"DOUBLE"}},{{"name":"tenure","type":"DOUBLE"}},{{"name":"spend_{}","type":"DOUBLE"}},{{"name":"label","type":"BOOLEAN"}}]',
        hash(name) % 20)) FROM place WHERE ends_with(name, '.parquet')
    UNION ALL SELECT c, k, 9, number, 2, role, namespace, name, 'version', facet('version', format(
        '"datasetVersion":"{}"', CASE WHEN namespace = 'modeltrail://registry' THEN version::VARCHAR ELSE digest END))
    FROM place WHERE role = 'output' AND namespace <> 'k8s://prod' OR model
    UNION ALL SELECT c, k, 9, number, 3, role, namespace, name, 'datasetType', facet('datasetType', format(
        '"datasetType":"MODEL","subType":"{}"', CASE WHEN model THEN 'ML_MODEL' ELSE 'ENDPOINT' END))
    FROM place WHERE model OR namespace = 'k8s://prod'
    UNION ALL SELECT place.c, k, 9, number, 4, role, namespace, name, 'modelTrail_registration', facet('modelTrail_registration', format(
        '"registry":{{"system":"mlflow","uri":"https://registry.example"}},"name":"p{}","version":"{}","action":"register","at":"{}","aliases":["candidate"]',
        project, place.version, strftime(began, '%Y-%m-%dT%H:%M:%SZ')))
    FROM place JOIN cycle USING (c) WHERE role = 'output' AND namespace = 'modeltrail://registry'
    UNION ALL SELECT place.c, k, 9, number, 5, role, namespace, name, 'symlinks', facet('symlinks', format(
        '"identifiers":[{{"namespace":"s3://lake","name":"{}/model.joblib","type":"FILE"}}]', folder))
    FROM place JOIN cycle USING (c) WHERE role = 'output' AND namespace = 'modeltrail://registry'
    UNION ALL SELECT place.c, k, 9, number, 6, role, namespace, name, 'columnLineage', facet('columnLineage', concat('"fields":{',
        (SELECT string_agg(format('"{0}":{{"inputFields":[{{"namespace":"s3://lake","name":"{1}/prepared.parquet","field":"{0}"}}]}}',
            field, folder), ',') FROM (SELECT unnest(['id', 'age', 'tenure', 'label']) AS field)), '}'))
    FROM place JOIN cycle USING (c) WHERE k = 2 AND role = 'output'
    UNION ALL SELECT c, k, 9, number, 7, 'input_facet', namespace, name, 'modelTrail_dataUse', facet('modelTrail_dataUse', format(
        '"role":"{}","fingerprint":{{"algorithm":"sha256","digest":"{}","scope":"full","rows":{}}},"capture":"observed"',
        use, digest, 1000 + hash(digest) % 90000)) FROM place WHERE role = 'input' AND use IS NOT NULL
    UNION ALL SELECT place.c, k, 9, number, 7, 'input_facet', namespace, name, 'modelTrail_evaluation', facet('modelTrail_evaluation', format(
        '"evaluationId":"e{}","modelVersion":"{}","modelDigest":"{}","dataset":{{"namespace":"s3://lake","name":"{}/holdout.parquet"}},"metrics":[{{"name":"accuracy","value":{}}}]',
        place.c, place.version, content(concat(folder, '/model.joblib'), place.version), folder, 0.8 + (place.c % 91) / 1000))
    FROM place JOIN cycle USING (c) WHERE k = 4 AND model
    UNION ALL SELECT c, k, 9, number, 7, 'output_facet', namespace, name, 'modelTrail_modelArtifact', facet('modelTrail_modelArtifact', format(
        '"digest":"{}","digestAlgorithm":"sha256","uri":"s3://lake/{}","sizeBytes":{}', digest, name, 1000000 + version))
    FROM place WHERE role = 'output' AND ends_with(name, '.joblib')
)
SELECT c, k, e, place, 'run' AS scope, NULL AS namespace, NULL AS name, key, part, value FROM run_facet
UNION ALL SELECT c, k, e, 50, 'job', 'ml', job, 'jobType', '', facet('jobType',
    '"processingType":"BATCH","integration":"MODELTRAIL","jobType":"JOB"') FROM run, (VALUES (0), (9)) AS t(e)
UNION ALL SELECT c, k, e, 100 * number + place, scope, namespace, name, key,
    CASE key WHEN 'modelTrail_registration' THEN sha256(concat('["', value ->> '$.version', '","register","',
        strftime((value ->> '$.at')::TIMESTAMPTZ, '%Y-%m-%dT%H:%M:%S.%g+00:00'), '"]'))[:16] ELSE '' END, value FROM dataset_facet;

CREATE OR REPLACE TEMP TABLE flat AS
SELECT bucket, 'lineage' AS topic, '00000000-0000-4000-8000-000000000001' AS topic_id,
    (project % 8)::INTEGER AS "partition", c * 60 + k * 10 + e AS "offset",
    -- Some come a day late.
    started + to_seconds(e * 30) + to_milliseconds(2000 + hash(c, k, e) % 28000 + CASE WHEN c % 100 = 3 THEN 86400000 ELSE 0 END)
        AS ingested_at,
    'accepted' AS verdict, 'run' AS event_kind,
    CASE e WHEN 0 THEN 'START' WHEN 9 THEN CASE WHEN k = 0 AND c % 50 = 7 THEN 'FAIL' ELSE 'COMPLETE' END
        ELSE 'RUNNING' END AS event_type,
    started + to_seconds(e * 30) AS event_time, event_time AS happened_at, run_id, 'ml' AS job_namespace, job AS job_name,
    'https://modeltrail.dev/benchmarks' AS producer, sha256(concat('bytes', run_id, e)) AS sha256,
    sha256(concat('json', run_id, e))[:32] AS digest, false AS snapshot,
    coalesce(facets, []) AS facets
FROM run CROSS JOIN range(10) AS t(e)
LEFT JOIN (
    SELECT c, k, e, list(struct_pack(scope, namespace, name, key, part, value) ORDER BY place) AS facets
    FROM said GROUP BY ALL
) USING (c, k, e)
ORDER BY ingested_at, "offset";
