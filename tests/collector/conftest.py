"""The story that the tests of tables and answers share: a churn model, from raw customers to an endpoint."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modeltrail_collector.model import LOCAL, Entry, LogPartition, Reason

PRODUCER = "https://github.com/modeltrail/modeltrail/tree/0.1.0"
BASE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DATA = "/data/churn"


def digest_of(text: str) -> str:
    """A digest that stands for the bytes of something."""
    return hashlib.sha256(text.encode()).hexdigest()


def facet(key: str, **fields: Any) -> dict[str, Any]:
    """A facet as it is on the wire, None left out."""
    known = {name: value for name, value in fields.items() if value is not None}
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"https://modeltrail.dev/schemas/facets/{key}/1-0-0.json",
        **known,
    }


def uuid7(at: datetime, tail: int) -> str:
    """A UUIDv7 of this time."""
    milliseconds = f"{int(at.timestamp() * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{tail:012x}"


def run_event(
    kind: str | None,
    at: datetime | str,
    run_id: str,
    job: str,
    *,
    run_facets: dict[str, Any] | None = None,
    job_facets: dict[str, Any] | None = None,
    inputs: Iterable[dict[str, Any]] = (),
    outputs: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """One RunEvent; job names live in namespace `ml`."""
    event = {
        "eventTime": at if isinstance(at, str) else at.isoformat().replace("+00:00", "Z"),
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run_id, "facets": run_facets or {}},
        "job": {"namespace": "ml", "name": job, "facets": job_facets or {}},
        "inputs": list(inputs),
        "outputs": list(outputs),
    }
    return event | ({"eventType": kind} if kind else {})


def dataset(name: str, *, namespace: str = "file", **facets: dict[str, Any]) -> dict[str, Any]:
    """A dataset; facets named `inputFacets__key` and `outputFacets__key` go to those places."""
    found: dict[str, Any] = {"namespace": namespace, "name": name, "facets": {}}
    for key, value in facets.items():
        place, _, rest = key.partition("__")
        found.setdefault(place if rest else "facets", {})[rest or key] = value
    return found


def used(
    name: str, content: str, *, role: str, rows: int, columns: str = "age,tenure,label"
) -> dict[str, Any]:
    """A file as an input, with the fingerprint of what was read."""
    fields = [{"name": column, "type": "double"} for column in columns.split(",")]
    fingerprint = {"algorithm": "sha256", "digest": digest_of(content), "scope": "full", "rows": rows}
    return dataset(
        name,
        schema=facet("schema", fields=fields),
        inputFacets__modelTrail_dataUse=facet(
            "modelTrail_dataUse",
            role=role,
            fingerprint=fingerprint,
            features=[column for column in columns.split(",") if column != "label"],
            capture="observed",
        ),
        inputFacets__inputStatistics=facet("inputStatistics", rowCount=rows),
    )


def prepare(number: int, at: datetime, *, raw: str, features: str) -> list[dict[str, Any]]:
    """A run that makes features and a hold-out from raw customers."""
    run_id = uuid7(at, 100 + number)
    outputs = [
        dataset(f"{DATA}/{name}", version=facet("version", datasetVersion=digest_of(content)))
        for name, content in (("features.parquet", features), ("holdout.parquet", "holdout"))
    ]
    inputs = [used(f"{DATA}/raw/customers.csv", raw, role="other", rows=5000)]
    return [
        run_event("START", at, run_id, "prepare-churn", inputs=inputs),
        run_event(
            "COMPLETE", at + timedelta(minutes=1), run_id, "prepare-churn", inputs=inputs, outputs=outputs
        ),
    ]


def train(
    number: int, at: datetime, *, features: str, strength: float, scaler: str = "StandardScaler"
) -> list[dict[str, Any]]:
    """A run that trains, evaluates and registers churn@<number>."""
    run_id = uuid7(at, 200 + number)
    digest = digest_of(f"model {number}")
    run_facets = {
        "modelTrail_training": facet(
            "modelTrail_training",
            framework="scikit-learn",
            frameworkVersion="1.7.0",
            algorithm="sklearn.linear_model.LogisticRegression",
            task="classification",
            capture="observed",
        ),
        "modelTrail_hyperparameters": facet(
            "modelTrail_hyperparameters",
            params=[
                {"name": "C", "value": strength, "type": "float", "origin": "explicit"},
                {"name": "max_iter", "value": 500, "type": "int", "origin": "default"},
            ],
            capture="observed",
        ),
        "modelTrail_environment": facet(
            "modelTrail_environment",
            python={"version": "3.11.9"},
            packages=[{"name": "scikit-learn", "version": "1.7.0"}],
            capture="observed",
        ),
        "modelTrail_codeState": facet(
            "modelTrail_codeState", dirty=number > 2, commit=f"{number}" * 40, entryPoint="train.py"
        ),
        "modelTrail_featureTransformations": facet(
            "modelTrail_featureTransformations",
            steps=[
                {"id": "scale", "op": scaler, "library": "scikit-learn", "params": {}, "fittedOn": "train"}
            ],
            capture="observed",
        ),
        "modelTrail_metrics": facet(
            "modelTrail_metrics",
            metrics=[{"name": "loss", "value": 0.5 / number, "split": "train"}],
            capture="observed",
        ),
    }
    path = f"{DATA}/models/churn.joblib"
    artifact = facet(
        "modelTrail_modelArtifact",
        digest=digest,
        digestAlgorithm="sha256",
        uri=f"file://{path}",
        sizeBytes=2048,
    )
    kind = facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    evaluation = facet(
        "modelTrail_evaluation",
        evaluationId=f"e{number}",
        modelVersion=str(number),
        modelDigest=digest,
        dataset={"namespace": "file", "name": f"{DATA}/holdout.parquet"},
        metrics=[{"name": "accuracy", "value": 0.8 + number / 100}],
    )
    registration = facet(
        "modelTrail_registration",
        registry={"system": "modeltrail"},
        name="churn",
        version=str(number),
        action="register",
        at=at.isoformat(),
        aliases=["candidate"],
    )
    links = facet("symlinks", identifiers=[{"namespace": "file", "name": path, "type": "FILE"}])
    inputs = [
        used(f"{DATA}/features.parquet", features, role="train", rows=4000),
        used(f"{DATA}/holdout.parquet", "holdout", role="test", rows=1000),
        dataset(path, inputFacets__modelTrail_evaluation=evaluation),
    ]
    outputs = [
        dataset(
            path,
            version=facet("version", datasetVersion=digest),
            datasetType=kind,
            outputFacets__modelTrail_modelArtifact=artifact,
        ),
        dataset(
            "models/churn",
            namespace="modeltrail://registry",
            version=facet("version", datasetVersion=str(number)),
            datasetType=kind,
            modelTrail_registration=registration,
            symlinks=links,
        ),
    ]
    jobs = {"jobType": facet("jobType", processingType="BATCH", integration="MODELTRAIL", jobType="TRAIN")}
    return [
        run_event("START", at, run_id, "train-churn", job_facets=jobs, inputs=inputs[:1]),
        run_event(
            "COMPLETE",
            at + timedelta(minutes=5),
            run_id,
            "train-churn",
            run_facets=run_facets,
            job_facets=jobs,
            inputs=inputs,
            outputs=outputs,
        ),
    ]


def deploy(number: int, at: datetime) -> list[dict[str, Any]]:
    """A run that puts churn@<number> behind an endpoint."""
    run_id = uuid7(at, 300 + number)
    model = {"namespace": "modeltrail://registry", "name": "models/churn", "version": str(number)}
    said = facet(
        "modelTrail_deployment",
        action="create",
        endpoint={"platform": "k8s", "name": "churn-api", "uri": "k8s://prod/endpoints/churn-api"},
        environment="production",
        model=model,
        effectiveAt=at.isoformat(),
        capture="declared",
    )
    endpoint = dataset(
        "endpoints/churn-api",
        namespace="k8s://prod",
        datasetType=facet("datasetType", datasetType="MODEL", subType="ENDPOINT"),
    )
    models = [
        dataset(
            model["name"],
            namespace=model["namespace"],
            version=facet("version", datasetVersion=model["version"]),
        )
    ]
    return [
        run_event("START", at, run_id, "deploy-churn", inputs=models),
        run_event(
            "COMPLETE",
            at + timedelta(seconds=5),
            run_id,
            "deploy-churn",
            run_facets={"modelTrail_deployment": said},
            inputs=models,
            outputs=[endpoint],
        ),
    ]


def in_registry(number: int, at: datetime, action: str, **known: Any) -> dict[str, Any]:
    """A run of its own in which something happened to churn@<number> in its registry."""
    model = dataset(
        "models/churn",
        namespace="modeltrail://registry",
        version=facet("version", datasetVersion=str(number)),
        modelTrail_registration=facet(
            "modelTrail_registration",
            registry={"system": "modeltrail"},
            name="churn",
            version=str(number),
            action=action,
            at=at.isoformat(),
            capture="observed",
            **known,
        ),
    )
    return run_event("COMPLETE", at, uuid7(at, 800 + number), f"churn.{action}", outputs=[model])


def churn_story() -> list[dict[str, Any]]:
    """Two preparations, three versions, one deployment: twelve events over four days."""
    day = timedelta(days=1)
    return [
        *prepare(1, BASE, raw="customers", features="features 1"),
        *train(1, BASE + timedelta(hours=1), features="features 1", strength=1.0),
        *train(2, BASE + day, features="features 1", strength=0.1),
        *deploy(2, BASE + day + timedelta(hours=2)),
        *prepare(2, BASE + 2 * day, raw="customers", features="features 2"),
        *train(3, BASE + 3 * day, features="features 2", strength=0.1, scaler="QuantileTransformer"),
    ]


def entries_of(
    events: Iterable[dict[str, Any] | bytes], partition: LogPartition = LOCAL, start: int = 0
) -> list[Entry]:
    """Log entries of these events (bytes: as they came), as the judge and the log would make them."""
    entries = []
    for offset, given in enumerate(events, start):
        value = given if isinstance(given, bytes) else json.dumps(given).encode()
        event = json.loads(value)
        run, job = event.get("run"), event.get("job", {})
        entries.append(
            Entry(
                topic=partition.topic,
                partition=partition.partition,
                offset=offset,
                source=None,
                timestamp_ms=1_770_000_000_000 + offset,
                ingested_at_ms=1_770_000_000_000 + offset,
                key=None,
                headers=(),
                value=value,
                verdict="accepted",
                reasons=(),
                event_kind="run" if run else "job" if job else "dataset",
                event_type=event.get("eventType"),
                event_time=event.get("eventTime"),
                run_id=run and run["runId"],
                job_namespace=job.get("namespace"),
                job_name=job.get("name"),
                sha256=hashlib.sha256(value).hexdigest(),
            )
        )
    return entries


def rejected_entry(offset: int, value: bytes, *reasons: Reason, partition: LogPartition = LOCAL) -> Entry:
    """A record that the judge turned away."""
    return Entry(
        topic=partition.topic,
        partition=partition.partition,
        offset=offset,
        source=None,
        timestamp_ms=1_770_000_000_000 + offset,
        ingested_at_ms=1_770_000_000_000 + offset,
        key=None,
        headers=(),
        value=value,
        verdict="rejected",
        reasons=reasons,
        event_kind=None,
        event_type=None,
        event_time=None,
        run_id=None,
        job_namespace=None,
        job_name=None,
        sha256=hashlib.sha256(value).hexdigest(),
    )


class Make:
    """The builders above, for tests: they cannot import this file."""

    facet = staticmethod(facet)
    dataset = staticmethod(dataset)
    used = staticmethod(used)
    run_event = staticmethod(run_event)
    uuid7 = staticmethod(uuid7)
    entries = staticmethod(entries_of)
    rejected = staticmethod(rejected_entry)
    story = staticmethod(churn_story)
    train = staticmethod(train)
    deploy = staticmethod(deploy)
    prepare = staticmethod(prepare)
    in_registry = staticmethod(in_registry)
    digest = staticmethod(digest_of)
    base = BASE
    data = DATA


@pytest.fixture(scope="session")
def make() -> type[Make]:
    """Builders of events and log entries."""
    return Make
