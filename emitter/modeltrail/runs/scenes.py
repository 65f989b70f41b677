"""What happens to a model beside its training, each as a run of its own: evaluation, deployment.

An evaluation inside of the training run would make the test data an input of the model, since consumers draw
a line from each input of a run to each of its outputs; so it is a child run with the model and the data as
inputs. A deployment is a child run whose output is the endpoint. All are RunEvents: Marquez, OpenMetadata and
others ignore the events of datasets.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import ref

import msgspec

from modeltrail import event, standard
from modeltrail.errors import ConfigError
from modeltrail.event import Dataset
from modeltrail.facets import (
    ModelTrailDeploymentRunFacet,
    ModelTrailEvaluationInputDatasetFacet,
    metric_entry,
)
from modeltrail.runs.datasets import Input
from modeltrail.runs.facts import Facts
from modeltrail.runs.models import Model
from modeltrail_schemas import encoding

GONE: Final = object()

Metrics = Mapping[str, float]
Slices = Mapping[str, Mapping[Any, Metrics]] | Sequence[tuple[Mapping[str, Any], Metrics]]


class Said:
    """What people say of models: the very objects, since another score may have the same value by chance."""

    def __init__(self) -> None:
        self._values: dict[int, float] = {}

    def add(self, values: Iterable[float]) -> None:
        """Keep what was said, so that nothing else has its identity; of a small int there is but one."""
        self._values.update((id(value), value) for value in values if type(value) is float)

    def __contains__(self, value: object) -> bool:
        return id(value) in self._values


class Evaluation(msgspec.Struct, frozen=True):
    """An evaluation as it was recorded: what `model` means may turn out only when the model is saved.

    `model` is what was given, a weak reference to it, or the model as the run made it; `sources` are the
    files that the data was read from; `model_id` is what the run calls the model as it was then.
    """

    model: object
    data: Input
    role: str | None
    metrics: Sequence[Mapping[str, Any]]
    capture: str
    sources: Sequence[Input] = ()
    model_id: str | None = None

    def weakly(self, made: Model | None) -> "Evaluation":
        """The same, of this model, or without keeping the object alive that it is of."""
        if made is not None:
            return msgspec.structs.replace(self, model=made)
        if isinstance(self.model, str | os.PathLike | Dataset):
            return self
        try:
            return msgspec.structs.replace(self, model=ref(self.model))
        except TypeError:  # it has no weak references
            return self

    @property
    def subject(self) -> object:
        """What it is of; GONE: an object that is gone, and was never saved."""
        if not isinstance(self.model, ref):
            return self.model
        found = self.model()
        return GONE if found is None else found

    def forgotten(self) -> "Evaluation":
        """The same, of a model that is no more."""
        return msgspec.structs.replace(self, model=GONE)

    def is_of(self, made: Model) -> bool:
        """Whether it is of the object that was saved as this model."""
        return isinstance(self.model, ref) and made.was(self.model())

    def is_about_as(self, other: "Evaluation") -> bool:
        """Whether another one is of the same model, on the same data."""
        place, role = self.data.dataset.identity, self.role
        return self.model is other.model and (place, role) == (other.data.dataset.identity, other.role)

    def with_more(self, metrics: Sequence[Mapping[str, Any]]) -> "Evaluation":
        """The same with further entries; one that is there already is told once."""
        new = [entry for entry in metrics if entry not in self.metrics]
        return msgspec.structs.replace(self, metrics=[*self.metrics, *new])

    def without(self, said: Said) -> "Evaluation":
        """The same without what was seen and has been said by somebody as well, under a name of his own."""
        if self.capture != "observed":
            return self
        return msgspec.structs.replace(
            self, metrics=[entry for entry in self.metrics if entry["value"] not in said]
        )

    def values(self) -> list[tuple[str, float]]:
        """(name, value) of each entry over all rows."""
        return [
            (entry["name"], float(entry["nonFinite"]) if entry["value"] is None else entry["value"])
            for entry in self.metrics
            if "slice" not in entry
        ]

    def reference(self) -> dict[str, Any]:
        """The data, as facets refer to a dataset."""
        found = {"namespace": self.data.dataset.namespace, "name": self.data.dataset.name}
        version = self.data.dataset.facets.get("version", {}).get("datasetVersion")
        known = {"version": version, "digest": self.data.fingerprint["digest"]}
        return found | {key: value for key, value in known.items() if value}

    def put_into(self, facts: Facts, model: Model, run_id: str) -> None:
        """Make a run with these facts the evaluation of the model: the model and the data are its inputs."""
        facet = ModelTrailEvaluationInputDatasetFacet(
            evaluation_id=f"{run_id}/{len(facts.inputs)}",
            model_version=model.known_version,
            model_digest=model.view.digest,
            model_id=self.model_id,
            dataset=self.reference(),
            metrics=self.metrics,
            capture=self.capture,  # type: ignore[arg-type]
        )
        dataset = _as_used(model)
        for found in (self.data, *self.sources):
            facts.add_input(msgspec.structs.replace(found, role=self.role))
        facts.judged[dataset.identity] = msgspec.structs.replace(
            dataset, input_facets={facet.KEY: facet.to_dict()}
        )


def scores(metrics: Metrics, slices: Slices | None) -> list[dict[str, Any]]:
    """Entries of metrics over all rows, and over slices of them.

    Args:
        metrics: name -> value.
        slices: column -> value -> metrics, or (column -> value, metrics) pairs for slices by several columns.
    """
    entries = [metric_entry(name, value) for name, value in metrics.items()]
    for where, found in _slices(slices):
        entries += [metric_entry(name, value, slice_=where) for name, value in found.items()]
    return entries


def _slices(slices: Slices | None) -> Iterable[tuple[Mapping[str, Any], Metrics]]:
    if slices is None:
        return
    if not isinstance(slices, Mapping):
        yield from slices
        return
    for column, values in slices.items():
        for value, metrics in values.items():
            yield {str(column): value}, metrics


class Endpoint(msgspec.Struct, frozen=True):
    """Where a model is used: `{platform}://{host}`, `endpoints/{name}`."""

    platform: str
    host: str
    name: str
    uri: str | None = None
    region: str | None = None

    def dataset(self) -> Dataset:
        """The output of a deployment."""
        facets = {"datasetType": standard.dataset_type("MODEL", "ENDPOINT")}
        if self.uri:
            facets["dataSource"] = standard.data_source(f"{self.platform}://{self.host}", self.uri)
        return Dataset(encoding.namespace(f"{self.platform}://{self.host}"), f"endpoints/{self.name}", facets)

    def written(self) -> dict[str, Any]:
        """As the facet `modelTrail_deployment` has it."""
        found = {"platform": self.platform, "name": self.name, "uri": self.uri, "region": self.region}
        return {key: value for key, value in found.items() if value}


def endpoint(target: str | Mapping[str, str]) -> Endpoint:
    """The endpoint that a URI (`sagemaker://eu-west-1/endpoints/churn`), a name or a mapping means.

    Raises:
        ConfigError: it names no endpoint.
    """
    if isinstance(target, Mapping):
        if not target.get("platform") or not target.get("name"):
            raise ConfigError(f"target is {target!r}; give platform and name, and host, uri, region if known")
        return Endpoint(
            target["platform"],
            target.get("host", "default"),
            target["name"],
            target.get("uri"),
            target.get("region"),
        )
    parts = urlsplit(target)
    if not parts.scheme:
        return Endpoint("local", "default", target)
    name = parts.path.strip("/").removeprefix("endpoints/")
    host = parts.netloc.rpartition("@")[2]
    if not (name or host):
        raise ConfigError(f"target is {target!r}; write platform://host/endpoints/name")
    uri = f"{parts.scheme}://{host}{parts.path}"
    return Endpoint(parts.scheme, host or "default", name or host, uri)


def deployment(facts: Facts, model: Model, where: Endpoint, details: Mapping[str, Any]) -> None:
    """Make a run with these facts the deployment of the model: model in, endpoint out.

    Args:
        facts: of the run.
        model: what is deployed.
        where: to where.
        details: further fields of the facet, by attribute; without `effective_at` it is effective now.
    """
    dataset = _as_used(model)
    facts.judged[dataset.identity] = dataset
    facts.outputs[where.dataset().identity] = where.dataset()
    facet = ModelTrailDeploymentRunFacet(
        endpoint=where.written(),
        model=model.reference(),
        **{"effective_at": event.now(), **details},
    )
    facts.run_facets[facet.KEY] = facet.to_dict()


def _as_used(model: Model) -> Dataset:
    """The model as an input: what it is and which version; the run that made it tells the rest."""
    whole = model.dataset()
    kept = {key: whole.facets[key] for key in ("datasetType", "version", "symlinks") if key in whole.facets}
    return Dataset(*model.identity, kept)
