"""Training runs as modeltrail's emitter tells them: START and COMPLETE of one job in turns."""

from benchmarks.corpus.shape import Json, Producer, columns
from benchmarks.corpus.values import Values
from modeltrail import facets
from modeltrail_schemas import schema_url

PRODUCER = Producer(facets.PRODUCER, "MODELTRAIL")


def ours(key: str, **fields: object) -> Json:
    return PRODUCER.facet(schema_url(key), {**fields, "capture": "observed"})


def event(values: Values, fresh: Values) -> Json:
    namespace = values.name(2, "-")
    kind = fresh.pick("START", "COMPLETE", "COMPLETE")
    run_facets = {
        "parent": PRODUCER.parent(values, fresh, namespace),
        "processing_engine": PRODUCER.engine("Python", "3.12.4"),
        "modelTrail_training": _training(values, fresh),
        "modelTrail_hyperparameters": _hyperparameters(values),
        "modelTrail_environment": _environment(values),
        "modelTrail_codeState": _code_state(values),
    }
    features = columns(values, 42, 59)
    inputs = [_training_data(values, fresh, features)]
    outputs = []
    if kind == "COMPLETE":
        run_facets["modelTrail_metrics"] = _metrics(values, fresh)
        outputs = [_model(values, fresh)]
    job = {"namespace": namespace, "name": values.name(3, "."), "facets": _job_facets(values)}
    return PRODUCER.run_event(kind, fresh, job=job, facets=run_facets, inputs=inputs, outputs=outputs)


def _job_facets(values: Values) -> Json:
    commit = values.digest()[:40]
    return {
        "jobType": PRODUCER.job_type("TRAIN"),
        "sourceCodeLocation": PRODUCER.standard(
            "source_code_location_job",
            "SourceCodeLocationJobFacet",
            type="git",
            url=f"https://git.example.com/{values.name()}/blob/{commit}/train.py",
            repoUrl=f"https://git.example.com/{values.name()}.git",
            path="train.py",
            version=commit,
            branch=values.name(2, "/"),
        ),
    }


def _training(values: Values, fresh: Values) -> Json:
    return ours(
        "modelTrail_training",
        framework="scikit-learn",
        frameworkVersion="1.7.1",
        algorithm=f"sklearn.ensemble.{values.word().title()}Classifier",
        task="classification",
        learningApproach="supervised",
        seeds={"python": values.integer(0, 10**6), "numpy": values.integer(0, 10**6)},
        wallTimeMs=fresh.integer(10**3, 10**7),
    )


def _hyperparameters(values: Values) -> Json:
    params = []
    for name in values.names(40):
        kind = values.pick("float", "int", "string")
        value = {"float": values.real, "int": lambda: values.integer(1, 10**4), "string": values.word}[kind]()
        params.append(
            {"name": name, "value": value, "type": kind, "origin": values.pick("explicit", "default")}
        )
    return ours("modelTrail_hyperparameters", params=params, sha256=values.digest())


def _environment(values: Values) -> Json:
    packages = [
        {
            "name": values.name(2, "-"),
            "version": f"{values.integer(0, 9)}.{values.integer(0, 40)}.{values.integer(0, 9)}",
        }
        for _ in range(8)
    ]
    return ours(
        "modelTrail_environment",
        python={"version": "3.12.4", "implementation": "CPython"},
        os={"name": "Linux", "version": "6.8.0-45-generic", "arch": "x86_64"},
        packages=packages,
        packagesSha256=values.digest(),
        hardware={"cpuModel": "AMD EPYC 7763", "cpuCount": 16, "memoryBytes": 68719476736},
    )


def _code_state(values: Values) -> Json:
    return ours(
        "modelTrail_codeState",
        dirty=False,
        vcs="git",
        commit=values.digest()[:40],
        entryPoint=f"{values.name(2, '/')}/train.py",
        argv=["train.py", "--data", f"/data/{values.name()}.parquet"],
        cwd=f"/home/{values.word()}/{values.name()}",
    )


def _metrics(values: Values, fresh: Values) -> Json:
    metrics = [{"name": name, "value": fresh.real(), "split": "validation"} for name in values.names(20)]
    return ours("modelTrail_metrics", metrics=metrics)


def _training_data(values: Values, fresh: Values, features: list[tuple[str, str]]) -> Json:
    rows = values.integer(10**4, 10**7)
    digest = fresh.digest()
    return {
        "namespace": f"s3://{values.name(2, '-')}",
        "name": f"{values.name(3, '/')}/train.parquet",
        "facets": {
            "schema": PRODUCER.schema(features),
            "version": PRODUCER.standard(
                "dataset_version_dataset", "DatasetVersionDatasetFacet", datasetVersion=digest[:12]
            ),
        },
        "inputFacets": {
            "inputStatistics": PRODUCER.standard(
                "input_statistics_input_dataset",
                "InputStatisticsInputDatasetFacet",
                rowCount=rows,
                size=rows * 300,
            ),
            "modelTrail_dataUse": ours(
                "modelTrail_dataUse",
                role="train",
                fingerprint={"algorithm": "sha256", "digest": digest, "scope": "full", "rows": rows},
                labelColumn=features[0][0],
            ),
        },
    }


def _model(values: Values, fresh: Values) -> Json:
    name, digest, size = values.name(), fresh.digest(), fresh.integer(10**5, 10**9)
    return {
        "namespace": "modeltrail://registry",
        "name": f"models/{name}",
        "facets": {
            "datasetType": PRODUCER.standard(
                "dataset_type_dataset", "DatasetTypeDatasetFacet", datasetType="MODEL", subType="ML_MODEL"
            ),
            "version": PRODUCER.standard(
                "dataset_version_dataset", "DatasetVersionDatasetFacet", datasetVersion=digest[:12]
            ),
            "modelTrail_model": ours(
                "modelTrail_model",
                framework="scikit-learn",
                flavor="sklearn",
                format="joblib",
                parameterCount=size,
            ),
        },
        "outputFacets": {
            "modelTrail_modelArtifact": ours(
                "modelTrail_modelArtifact",
                digest=digest,
                digestAlgorithm="sha256",
                uri=f"s3://{values.name(2, '-')}/{name}/{digest[:12]}.joblib",
                sizeBytes=size,
            )
        },
    }
