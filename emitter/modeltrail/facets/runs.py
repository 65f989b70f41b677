"""Facets of runs: how a model was trained, with what, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from modeltrail.facets._base import Capture, Facet
from modeltrail.facets.values import params_sha256
from modeltrail_schemas import Entity, schema_url


class ModelTrailTrainingRunFacet(Facet, frozen=True, kw_only=True):
    """How a model was trained.

    Attributes:
        framework: the library's import name, `sklearn`.
        framework_version: its version.
        algorithm: the qualified class of the estimator, `sklearn.linear_model.LogisticRegression`.
        task: classification, regression, ranking, clustering, forecasting, generation, embedding, other.
        learning_approach: CycloneDX's words: supervised, unsupervised, reinforcement-learning,
            semi-supervised,
            self-supervised.
        seeds: `{"python": 1, "numpy": 1, "framework": None}`; None is a source that nobody seeded.
        deterministic: whether the framework was told to be.
        epochs: passes over the data.
        steps: optimizer steps.
        distributed: `{"worldSize", "rank", "strategy"}`.
        resumed_from_run_id: the OpenLineage run id that this run goes on from.
        base_model: `{"namespace", "name", "version", "digest"}` of the model that was fine-tuned.
        wall_time_ms: milliseconds spent in training.
        energy_kwh: energy, where measured.
        co2e_kg: kilograms of CO2 equivalent, where measured.
        models: of a run of several models, of each a mapping of `modelId` and any of the other fields.
    """

    KEY: ClassVar[str] = "modelTrail_training"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "run"

    framework: str
    framework_version: str
    algorithm: str
    task: str | None = None
    learning_approach: str | None = None
    seeds: Mapping[str, int | None] | None = None
    deterministic: bool | None = None
    epochs: int | None = None
    steps: int | None = None
    distributed: Mapping[str, Any] | None = None
    resumed_from_run_id: str | None = None
    base_model: Mapping[str, Any] | None = None
    wall_time_ms: int | None = None
    energy_kwh: float | None = None
    co2e_kg: float | None = None
    models: Sequence[Mapping[str, Any]] | None = None
    capture: Capture = "observed"


class ModelTrailHyperparametersRunFacet(Facet, frozen=True, kw_only=True):
    """The parameters of a run, with their types and where each came from.

    Attributes:
        params: entries `{"name", "value", "type", "origin", "component"}` as `param_entries` makes them, with
            `modelId` where the run tells several models apart.
        sha256: `params_sha256(params)`, worked out here unless given.
        search: the study a trial belongs to: `{"studyId", "trial", "space", "objective", "direction"}`.
        redacted: names whose values were withheld.
    """

    KEY: ClassVar[str] = "modelTrail_hyperparameters"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "run"

    params: Sequence[Mapping[str, Any]]
    sha256: str = ""
    search: Mapping[str, Any] | None = None
    redacted: Sequence[str] | None = None
    capture: Capture = "observed"

    def __post_init__(self) -> None:
        if not self.sha256:
            msgspec.structs.force_setattr(self, "sha256", params_sha256(self.params))


class ModelTrailEnvironmentRunFacet(Facet, frozen=True, kw_only=True):
    """What a run ran in.

    Attributes:
        python: `{"version", "implementation"}`.
        packages: installed distributions, `{"name", "version", "sha256", "source"}`, sorted by name.
        packages_sha256: of the lines `name==version`, sorted, each ended by a newline.
        os: `{"name", "version", "arch"}`.
        imported: the top-level modules that the process had imported when the run ended, Python's own apart.
        lockfile: `{"kind", "sha256", "uri"}`.
        container: `{"image", "digest"}`.
        hardware: `{"cpuModel", "cpuCount", "memoryBytes", "accelerators": [{"vendor", "model", "count",
            "memoryBytes", "driver", "runtime"}]}`.
    """

    KEY: ClassVar[str] = "modelTrail_environment"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "run"

    python: Mapping[str, Any]
    packages: Sequence[Mapping[str, Any]]
    packages_sha256: str
    os: Mapping[str, Any] | None = None
    imported: Sequence[str] | None = None
    lockfile: Mapping[str, Any] | None = None
    container: Mapping[str, Any] | None = None
    hardware: Mapping[str, Any] | None = None
    capture: Capture = "observed"


class ModelTrailCodeStateRunFacet(Facet, frozen=True, kw_only=True):
    """Which code ran, beyond the commit that the standard `sourceCodeLocation` names.

    Attributes:
        dirty: whether the working tree differed from the commit; False without version control, None where
            that was not found out.
        entry_point: the script, module or notebook that was started.
        vcs: `git`; None without version control.
        commit: the commit checked out.
        diff_sha256: of the whole diff against the commit, before redaction: `git diff --full-index`; None
            where there is none, or not all of it came in time.
        diff_uri: where the diff is kept.
        diff: the diff itself, redacted, at most 32 KiB.
        diff_truncated: whether `diff` was cut at that size, or is missing since it was not had in time.
        untracked: files that version control does not know, `{"path", "sha256", "sizeBytes"}`; never their
            content. Those that ran come first, then other code, then the rest.
        untracked_truncated: whether there are more than are listed.
        untracked_count: how many there are; None where that was not found out.
        modules: the files below `root` that the program imported, the entry point apart; None where that is
            not known, or where they are too many.
        elsewhere: what it consists of outside of `root`, Python and packages apart, `{"name", "path",
            "sha256"}`: modules by name, other files by how its text names them; None where that is not known.
        elsewhere_count: how many files there are; at most 200 are listed.
        repositories: those that files of `elsewhere` lie in, `{"root", "commit", "dirty"}`, at most five.
        argv: the command line as the program sees it, redacted.
        command: the command line as the run can be started again, the interpreter or `modeltrail run` first,
            redacted.
        cwd: the working directory.
        root: the top folder of the working tree.
        notebook: `{"path", "sha256", "cell"}`.
        source_sha256: of the entry point's bytes, where there is no version control, or it tells no commit.
    """

    KEY: ClassVar[str] = "modelTrail_codeState"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "run"

    entry_point: str
    dirty: bool | None = None
    vcs: str | None = None
    commit: str | None = None
    diff_sha256: str | None = None
    diff_uri: str | None = None
    diff: str | None = None
    diff_truncated: bool | None = None
    untracked: Sequence[Mapping[str, Any]] | None = None
    untracked_truncated: bool | None = None
    untracked_count: int | None = None
    modules: Sequence[str] | None = None
    elsewhere: Sequence[Mapping[str, Any]] | None = None
    elsewhere_count: int | None = None
    repositories: Sequence[Mapping[str, Any]] | None = None
    argv: Sequence[str] | None = None
    command: Sequence[str] | None = None
    cwd: str | None = None
    root: str | None = None
    notebook: Mapping[str, Any] | None = None
    source_sha256: str | None = None
    capture: Capture = "observed"


class ModelTrailFeatureTransformationsRunFacet(Facet, frozen=True, kw_only=True):
    """The steps from raw columns to features, and what each of them had learned.

    Attributes:
        steps: `{"id", "modelId", "op", "library", "params", "paramsSha256", "inputs", "outputs", "fittedOn",
            "rowsIn", "rowsOut", "columnsAdded", "columnsRemoved", "stateSha256", "code", "durationMs",
            "capture"}`, in order; an input is `{"step", "columns"}` or `{"namespace", "name", "columns"}`,
            code is `{"file", "line"}`.
    """

    KEY: ClassVar[str] = "modelTrail_featureTransformations"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "run"

    steps: Sequence[Mapping[str, Any]]
    capture: Capture = "observed"


class ModelTrailMetricsRunFacet(Facet, frozen=True, kw_only=True):
    """The metrics of a run, its last word on each.

    Attributes:
        metrics: entries as `metric_entry` makes them.
        series: where the values over steps are kept: `{"uri", "sha256", "points"}`.
    """

    KEY: ClassVar[str] = "modelTrail_metrics"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "run"

    metrics: Sequence[Mapping[str, Any]]
    series: Mapping[str, Any] | None = None
    capture: Capture = "observed"


class ModelTrailMetricSeriesRunFacet(Facet, frozen=True, kw_only=True):
    """A chunk of metric values over steps, sent while the run goes on.

    A facet replaces the earlier one of its key, so a collector appends chunks by (run, `seq`); who does not
    know this facet keeps the last chunk.

    Attributes:
        seq: the chunk's number, from 0.
        points: at most `MAX_POINTS` of `{"name", "step", "value", "nonFinite", "at", "split", "modelId"}`.
        from_: the first step in it; `from` on the wire.
        to: the last step in it.
    """

    KEY: ClassVar[str] = "modelTrail_metricSeries"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "run"
    MAX_POINTS: ClassVar[int] = 1000

    seq: int
    points: Sequence[Mapping[str, Any]]
    from_: int | None = None
    to: int | None = None
    capture: Capture = "observed"


class ModelTrailDeploymentRunFacet(Facet, frozen=True, kw_only=True):
    """A model version going to where it is used, or leaving it; the run's output is the endpoint.

    Attributes:
        action: create, update, shift_traffic, rollback or retire.
        endpoint: `{"platform", "name", "uri", "region"}`.
        environment: `production`, `staging`, …
        model: `{"namespace", "name", "version", "digest"}`.
        effective_at: RFC 3339.
        previous_model: what it replaces, like `model`.
        traffic_percent: the share of requests that it gets, 0 to 100.
        actor: who did it.
        approval: `{"by", "ticket"}`.
    """

    KEY: ClassVar[str] = "modelTrail_deployment"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "run"

    action: str
    endpoint: Mapping[str, Any]
    environment: str
    model: Mapping[str, Any]
    effective_at: str
    previous_model: Mapping[str, Any] | None = None
    traffic_percent: float | None = None
    actor: str | None = None
    approval: Mapping[str, Any] | None = None
    capture: Capture = "declared"


class ModelTrailMonitoringRunFacet(Facet, frozen=True, kw_only=True):
    """What a model in use did in a window of time, against the run it is measured by.

    Attributes:
        window: `{"start", "end"}`, RFC 3339.
        model: `{"namespace", "name", "version", "digest"}`.
        reference_run_id: the OpenLineage run id whose values are the expected ones.
        metrics: `{"name", "expected", "observed", "delta", "tolerance", "breached"}`.
        drift: `{"column", "method", "statistic", "pValue", "threshold", "breached"}`.
    """

    KEY: ClassVar[str] = "modelTrail_monitoring"
    SCHEMA_URL: ClassVar[str] = schema_url(KEY)
    ENTITY: ClassVar[Entity] = "run"

    window: Mapping[str, Any]
    model: Mapping[str, Any]
    reference_run_id: str
    metrics: Sequence[Mapping[str, Any]] | None = None
    drift: Sequence[Mapping[str, Any]] | None = None
    capture: Capture = "observed"
