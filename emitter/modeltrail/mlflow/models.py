"""From a model that MLflow knows to an output: a logged model, or a version of a registered one."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from modeltrail import naming, standard
from modeltrail.event import Dataset
from modeltrail.facets import Capture, ModelTrailRegistrationDatasetFacet
from modeltrail.guard import guarded
from modeltrail.observe import model as observed
from modeltrail.observe import modelfiles
from modeltrail.observe.model import ModelView
from modeltrail.runs.models import Model

MLMODEL: Final = "MLmodel"
ALGORITHM: Final = "estimator_class"
"""The tag of a run in which MLflow's autologging says which class was fitted."""
_GENERIC: Final = "python_function"
_DATA: Final = ("pickled_model", "data", "model_path")
"""Where a flavor says which file holds the model."""
_LIBRARIES: Final = {"pytorch": "torch"}
"""Flavors that are not called as what is imported."""
_MAX_SEEN: Final = 1000

_seen: dict[str, ModelView] = {}
"""What was seen of models while they were logged, by where they went: the object, and the bytes that left."""
_out_of_reach: set[str] = set()
"""Namespaces of places that did not answer: to ask again of each model may take minutes."""


class LoggedModel(Model, eq=False):
    """A model of MLflow's tracking: `logged_models/{id}` of its server; registered, `models/{name}`."""

    model_id: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """Its OpenLineage (namespace, name)."""
        return (
            super().identity if self.name is not None else (self.registry, f"logged_models/{self.model_id}")
        )

    def dataset(self, declared: Mapping[str, Any] | None = None) -> Dataset:
        """The dataset with all that is known; where it lies and which logged model it is are other names."""
        made = super().dataset(declared)
        links = [(self.view.namespace, self.view.name, "LOCATION")]
        if self.name is not None and self.model_id:
            links.append((self.registry, f"logged_models/{self.model_id}", "MODEL"))
        facets = {**made.facets, "symlinks": standard.symlinks(links)}
        if self.version is None and self.model_id:
            facets["version"] = standard.dataset_version(self.view.digest or self.model_id)
        return msgspec.structs.replace(made, facets=facets)


def logged(told: Any, registry: str, algorithm: str | None, *, fetch: str | None) -> LoggedModel:
    """The output that a `LoggedModel` of MLflow is."""
    view = look(told.artifact_location, algorithm, fetch=fetch)
    return LoggedModel(view, registry=registry, model_id=told.model_id)


def is_failed(told: Any) -> bool:
    """Whether a `LoggedModel` could not be saved: nothing of it is there."""
    return getattr(told.status, "name", None) == "FAILED"


def by_id(model_id: str, registry: str) -> Dataset:
    """A `LoggedModel` by its name alone, which is a model: who reads it as one has not read data."""
    is_model = {"datasetType": standard.dataset_type("MODEL", "ML_MODEL")}
    return Dataset(registry, f"logged_models/{model_id}", is_model)


def saved(where: str, registry: str, algorithm: str | None, *, fetch: str | None) -> Model:
    """A model that a run saved among its artifacts, as MLflow did before there were logged models."""
    view = look(where, algorithm, fetch=fetch)
    return Model(view, registry=registry)


def version(told: Any, model: Model, registry: str) -> Model:
    """The model as this version of a registered one."""
    return msgspec.structs.replace(model, name=told.name, version=str(told.version), registry=registry)


def registration(
    told: Any, registry: str, action: str | None, at: str, capture: Capture, **known: Any
) -> ModelTrailRegistrationDatasetFacet:
    """What happened to a version; `known` are further fields of the facet."""
    is_gone = action == "delete"  # and with it what MLflow still says of it
    stage = None if is_gone or told.current_stage in {"", "None"} else told.current_stage
    return ModelTrailRegistrationDatasetFacet(
        registry={"system": "mlflow", "uri": registry},
        name=told.name,
        version=str(told.version),
        at=at,
        logical_id=told.model_id or None,
        aliases=[] if is_gone else sorted(told.aliases or ()),
        stage=stage,
        action=action,
        capture=capture,
        **known,
    )


def see(folder: str, destination: str, made: object) -> None:
    """See a model while it is logged: later nobody has the object, nor its bytes if they went elsewhere.

    Args:
        folder: that it was saved to, which is sent to its destination.
        destination: where MLflow keeps it.
        made: the object; None where none is known.
    """
    if len(_seen) >= _MAX_SEEN:
        _seen.clear()
    view = _view(destination if naming.local_path(destination) is not None else folder)
    if made is not None:
        with guarded("looking at the object that is logged"):
            object_ = observed.describe(made)
            view = msgspec.structs.replace(view, algorithm=object_.algorithm, task=object_.task)
            view = msgspec.structs.replace(view, parameter_count=object_.parameter_count)
    namespace, name = naming.identity(destination)
    uri = view.uri if naming.local_path(destination) is not None else destination
    _seen[destination.rstrip("/")] = msgspec.structs.replace(view, namespace=namespace, name=name, uri=uri)


def look(where: str, algorithm: str | None, *, fetch: str | None) -> ModelView:
    """What can be seen of a model: its bytes where they lie here or went by; what MLflow wrote beside them.

    Args:
        where: its folder.
        algorithm: the class that was fitted, where nothing else says it.
        fetch: the tracking URI by which MLflow can be asked for the description of one that lies elsewhere.
    """
    view = _seen.get(where.rstrip("/"))
    if view is None:
        view = _view(where, fetch=fetch)
    return msgspec.structs.replace(view, algorithm=view.algorithm or algorithm)


def _view(where: str, *, fetch: str | None = None) -> ModelView:
    view = observed.look(where)
    with guarded("reading the description of a model"):
        return _described(view, _description(where, fetch=fetch), naming.local_path(where))
    return view


def _description(where: str, *, fetch: str | None) -> dict[str, Any]:
    path = naming.local_path(where)
    if path is not None:
        return _mlmodel(path)
    where_to_ask, _ = naming.identity(where)
    if fetch is None or where_to_ask in _out_of_reach:
        return {}
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with tempfile.TemporaryDirectory(prefix="modeltrail-") as folder:
        try:
            get_artifact_repository(where, tracking_uri=fetch).download_artifacts(MLMODEL, folder)
        except Exception:  # every store has exceptions of its own
            _out_of_reach.add(where_to_ask)
        return _mlmodel(Path(folder))


def _mlmodel(folder: Path) -> dict[str, Any]:
    """The file in which MLflow describes a model; empty where there is none."""
    import yaml  # MLflow needs it too

    try:
        found = yaml.safe_load((folder / MLMODEL).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _described(view: ModelView, mlmodel: Mapping[str, Any], folder: Path | None) -> ModelView:
    flavors = mlmodel.get("flavors") or {}
    own = next((name for name in flavors if name != _GENERIC), None)
    signature = mlmodel.get("signature") or {}
    details = flavors.get(own) or {} if own else {}
    versions = [details.get(f"{own}_version"), *(details[key] for key in details if key.endswith("_version"))]
    found = next(filter(None, versions), None)
    return msgspec.structs.replace(
        view,
        format="mlflow" if flavors else view.format,
        flavor=own or (_GENERIC if flavors else None),
        framework=_LIBRARIES.get(own, own) if own else view.framework,
        framework_version=str(found) if found else view.framework_version,
        algorithm=_class(details, folder) or view.algorithm,
        inputs=_columns(signature.get("inputs")),
        outputs=_columns(signature.get("outputs")),
    )


def _class(details: Mapping[str, Any], folder: Path | None) -> str | None:
    """The class of the model, as its flavor says or its file; nothing is loaded."""
    if isinstance(said := details.get("model_class"), str):
        return observed.public_name(said)
    data = next((details[key] for key in _DATA if isinstance(details.get(key), str)), None)
    if folder is None or data is None:
        return None
    _, _, algorithm = modelfiles.describe(folder / data)
    return observed.public_name(algorithm)


def _columns(text: str | None) -> tuple[dict[str, Any], ...]:
    """A signature as MLflow writes it, in the words of the facet."""
    return tuple(
        {
            "name": str(each.get("name", number)),
            "type": (each.get("tensor-spec") or {}).get("dtype") or str(each.get("type")),
            **({"shape": each["tensor-spec"]["shape"]} if "tensor-spec" in each else {}),
            "required": bool(each.get("required", True)),
        }
        for number, each in enumerate(json.loads(text or "[]"))
    )


def from_history(tags: Mapping[str, str]) -> list[str]:
    """The paths among a run's artifacts where it saved models, by the tag that MLflow keeps of them."""
    found = json.loads(tags.get("mlflow.log-model.history", "[]"))
    return list(dict.fromkeys(each["artifact_path"] for each in found if each.get("artifact_path")))
