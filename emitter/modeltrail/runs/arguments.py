"""Arguments of the verbs of a run that stand for fields of facets."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from modeltrail.facets import Capture

Role = Literal["train", "validation", "test", "calibration", "reference", "inference", "prompt", "other"]
Origin = Literal["explicit", "default", "cli", "config", "env", "search"]
Action = Literal["create", "update", "shift_traffic", "rollback", "retire"]


class Use(TypedDict, total=False):
    """How a dataset is used: fields of the facet `modelTrail_dataUse`."""

    followed: bool
    label_column: str
    label_columns: Sequence[str]
    features: Sequence[str]
    weight_column: str
    entity_key: str
    split: Mapping[str, Any]
    time_range: Mapping[str, str]
    as_of: str
    query: Mapping[str, str]


class Values(TypedDict, total=False):
    """More about a value: fields of an entry of `modelTrail_metrics`."""

    epoch: float
    split: Role
    dataset: Mapping[str, str]
    slice_: Mapping[str, Any]
    unit: str
    direction: Literal["max", "min"]
    ci: Mapping[str, float]
    threshold: float
    model_id: str
    capture: Capture


class Step(TypedDict, total=False):
    """More about a step: `fitted_on` is the role of what it learned from, `code` is `{"file", "line"}`."""

    params: Mapping[str, Any]
    library: str
    fitted_on: Role
    code: Mapping[str, Any]
    duration_ms: int


class Delivery(TypedDict, total=False):
    """More about a deployment: fields of the facet `modelTrail_deployment`."""

    previous_model: Mapping[str, str]
    traffic_percent: float
    effective_at: str
    actor: str
    approval: Mapping[str, str]
