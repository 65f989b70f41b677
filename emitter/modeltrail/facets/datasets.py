"""Facets of datasets: the data that went in, and the model as a dataset of its own."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from modeltrail.facets._base import Capture, Facet
from modeltrail_schemas import Entity, schema_url


class ModelTrailDataUseInputDatasetFacet(Facet, frozen=True, kw_only=True):
    """Which content of a dataset a run read, and what for.

    Attributes:
        role: train, validation, test, calibration, reference, inference, prompt or other.
        fingerprint: `{"algorithm", "digest", "scope": full | sampled | metadata | none, "rows",
            "canonicalisation"}`.
        capture: whether the reading was observed, declared or inferred.
        split: `{"strategy", "seed", "fraction", "stratifyBy", "groupBy", "indexSha256", "earlier"}`; where
            rows were chosen of what was left by other choices, these are `earlier`, the first of all first.
        followed: False where nobody sees what the run makes of it: of a loaded module, whose calls are
            not seen.
        possible_outputs: `{"namespace", "name"}` of outputs of the run that it may have gone into, without
            anybody seeing it: something in them came from nowhere, after a model had predicted from it, or
            one that learned from it.
        label_column: the target.
        label_columns: the targets, where there are several.
        features: the columns used.
        weight_column: sample weights.
        entity_key: the column that says whom a row is about.
        time_range: `{"start", "end"}` of the rows, RFC 3339.
        as_of: the moment a feature store was asked for, RFC 3339.
        query: `{"text"}` or `{"sha256"}`.
        read_at: RFC 3339.
    """

    KEY: ClassVar[str] = "modelTrail_dataUse"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "input_dataset"

    role: str
    fingerprint: Any
    capture: Capture
    split: Mapping[str, Any] | None = None
    followed: bool | None = None
    possible_outputs: Sequence[Mapping[str, str]] | None = None
    label_column: str | None = None
    label_columns: Sequence[str] | None = None
    features: Sequence[str] | None = None
    weight_column: str | None = None
    entity_key: str | None = None
    time_range: Mapping[str, Any] | None = None
    as_of: str | None = None
    query: Mapping[str, Any] | None = None
    read_at: str | None = None


class ModelTrailFeatureProfileInputDatasetFacet(Facet, frozen=True, kw_only=True):
    """How the columns are distributed, so that a later run can measure drift without the data.

    Attributes:
        columns: name -> `{"dtype", "count", "nulls", "mean", "std", "histogram": {"edges", "counts"},
            "quantiles", "topK": [{"value", "count"}], "other"}`; no `topK` for columns that hold personal
            data.
        sample_rows: how many rows were looked at, where not all.
        method: how the sample was taken and the histograms were cut.
    """

    KEY: ClassVar[str] = "modelTrail_featureProfile"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "input_dataset"

    columns: Mapping[str, Mapping[str, Any]]
    sample_rows: int | None = None
    method: str | None = None
    capture: Capture = "observed"


class ModelTrailEvaluationInputDatasetFacet(Facet, frozen=True, kw_only=True):
    """What a model version scored on a dataset; stands on the model, as the input of an EVALUATE run.

    Attributes:
        evaluation_id: unique among evaluations.
        model_version: the version that was evaluated.
        dataset: `{"namespace", "name", "version", "digest"}`.
        metrics: entries as `metric_entry` makes them.
        model_digest: of the model's artifact.
        model_id: what facets of the run that fitted the model call it.
        baseline: `{"modelVersion", "metrics"}` that it was held against.
        reviewer: who looked at it.
        signed_report: `{"uri", "sha256"}`.
    """

    KEY: ClassVar[str] = "modelTrail_evaluation"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "input_dataset"

    evaluation_id: str
    model_version: str
    dataset: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    model_digest: str | None = None
    model_id: str | None = None
    baseline: Mapping[str, Any] | None = None
    reviewer: str | None = None
    signed_report: Mapping[str, Any] | None = None
    capture: Capture = "observed"


class ModelTrailModelDatasetFacet(Facet, frozen=True, kw_only=True):
    """What a model is.

    Attributes:
        framework: the library's import name.
        flavor: how it is loaded: `sklearn`, `xgboost`, `onnx`, …
        format: how it is stored: `joblib`, `pickle`, `safetensors`, …
        model_id: what facets of its run that tell several models apart call it.
        part_ids: what they call the parts of it that were fitted on their own.
        step: of its training, after which it was saved; measured of it later is not of it as it is.
        holds: of what is no model itself the qualified classes of the fitted models in it.
        algorithm: as in the training facet, where that can tell only of one of the run's models.
        architecture: its structure, in the framework's own words.
        parameter_count: number of fitted numbers.
        task: as in the training facet.
        license: SPDX expression.
        signature: `{"inputs", "outputs", "params"}`, each a list of `{"name", "type", "shape", "required"}`.
        card: what only people can say: `{"intendedUse", "outOfScope", "limitations", "ethics", "users",
            "author",
            "at"}`.
    """

    KEY: ClassVar[str] = "modelTrail_model"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "dataset"

    framework: str
    flavor: str | None = None
    format: str | None = None
    model_id: str | None = None
    part_ids: Sequence[str] | None = None
    step: int | None = None
    holds: Sequence[str] | None = None
    algorithm: str | None = None
    architecture: str | None = None
    parameter_count: int | None = None
    task: str | None = None
    license: str | None = None
    signature: Mapping[str, Any] | None = None
    card: Mapping[str, Any] | None = None
    capture: Capture = "observed"


class ModelTrailModelArtifactOutputDatasetFacet(Facet, frozen=True, kw_only=True):
    """The bytes of a model.

    Attributes:
        digest: lower-case hex.
        digest_algorithm: `sha256` for one file, `sha256-tree` for a directory.
        uri: where they lie.
        size_bytes: how many they are.
        written: False where the run found them, to register them for instance.
        files: `{"path", "sha256", "sizeBytes"}`, at most `MAX_FILES`, else `manifest_uri`.
        manifest_uri: where the full list of files is kept.
        signature_bundle: `{"type": oms | dsse, "uri", "identity"}`.
    """

    KEY: ClassVar[str] = "modelTrail_modelArtifact"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "output_dataset"
    MAX_FILES: ClassVar[int] = 200

    digest: str
    digest_algorithm: str
    uri: str
    size_bytes: int
    written: bool | None = None
    files: Sequence[Any] | None = None
    manifest_uri: str | None = None
    signature_bundle: Mapping[str, Any] | None = None
    capture: Capture = "observed"


class ModelTrailRegistrationDatasetFacet(Facet, frozen=True, kw_only=True):
    """A model version in a registry, and what just happened to it there.

    Attributes:
        registry: `{"system", "uri"}`.
        name: the registered name.
        version: the registry's version.
        at: when, RFC 3339.
        logical_id: the registry's id of the model behind the version.
        aliases: all aliases of the version, afterwards.
        stage: its stage, afterwards.
        previous: `{"version", "aliases"}` before.
        action: register, alias_set, alias_removed, stage_change, deprecate or delete.
        actor: who did it.
        approval: `{"by", "ticket"}`.
    """

    KEY: ClassVar[str] = "modelTrail_registration"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "dataset"

    registry: Mapping[str, Any]
    name: str
    version: str
    at: str
    logical_id: str | None = None
    aliases: Sequence[str] | None = None
    stage: str | None = None
    previous: Mapping[str, Any] | None = None
    action: str | None = None
    actor: str | None = None
    approval: Mapping[str, Any] | None = None
    capture: Capture = "declared"


class ModelTrailChangesDatasetFacet(Facet, frozen=True, kw_only=True):
    """What is different from the version before; worked out by a collector, not by who made the model.

    Attributes:
        base_version: the version that this one is compared with.
        data_inputs: `{"added", "removed", "changed"}`, each a list of `{"path", "before", "after"}`.
        parameters: the same, as are the four below.
        code: the working tree and the commit.
        environment: packages, interpreter, hardware.
        evaluations: metrics.
        transformations: steps from raw columns to features.
        likely_causes: `{"path", "evidence"}`, most likely first.
    """

    KEY: ClassVar[str] = "modelTrail_changes"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "dataset"

    base_version: str | None = None
    data_inputs: Mapping[str, Any] | None = None
    parameters: Mapping[str, Any] | None = None
    code: Mapping[str, Any] | None = None
    environment: Mapping[str, Any] | None = None
    evaluations: Mapping[str, Any] | None = None
    transformations: Mapping[str, Any] | None = None
    likely_causes: Sequence[Mapping[str, Any]] | None = None
    capture: Capture = "inferred"


class ModelTrailSubjectsDatasetFacet(Facet, frozen=True, kw_only=True):
    """Which persons a dataset held, by pseudonyms that need a key (see `modeltrail_schemas.subjects`).

    Attributes:
        key_column: the column that says whom a row is about.
        count: how many persons there were.
        index: `{"uri", "method": "hmac-sha256", "keyId", "sha256"}` of the file with their pseudonyms.
    """

    KEY: ClassVar[str] = "modelTrail_subjects"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "dataset"

    key_column: str
    count: int
    index: Mapping[str, Any]
    capture: Capture = "observed"
