"""What happens to a model beside its training, each as a run of its own: evaluation, deployment.

An evaluation inside of the training run would make the test data an input of the model, since consumers draw
a line from each input of a run to each of its outputs; so it is a child run with the model and the data as
inputs. A deployment is a child run whose output is the endpoint. All are RunEvents: Marquez, OpenMetadata and
others ignore the events of datasets.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

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

Metrics = Mapping[str, float]
Slices = Mapping[str, Mapping[Any, Metrics]] | Sequence[tuple[Mapping[str, Any], Metrics]]


@attrs.frozen
class Evaluation:
    """An evaluation as it was recorded: what `model` means may turn out only when the model is saved.

    `sources` are the files that the data was read from.
    """

    model: object
    data: Input
    role: str | None
    metrics: Sequence[Mapping[str, Any]]
    capture: str
    sources: Sequence[Input] = ()

    def put_into(self, facts: Facts, model: Model, run_id: str) -> None:
        """Make a run with these facts the evaluation of the model: the model and the data are its inputs."""
        reference = {"namespace": self.data.dataset.namespace, "name": self.data.dataset.name}
        version = self.data.dataset.facets.get("version", {}).get("datasetVersion")
        if version:
            reference["version"] = version
        if self.data.fingerprint["digest"]:
            reference["digest"] = self.data.fingerprint["digest"]
        facet = ModelTrailEvaluationInputDatasetFacet(
            evaluation_id=f"{run_id}/{len(facts.inputs)}",
            model_version=model.known_version,
            model_digest=model.view.digest,
            dataset=reference,
            metrics=self.metrics,
            capture=self.capture,  # type: ignore[arg-type]
        )
        dataset = _as_used(model)
        for found in (self.data, *self.sources):
            facts.add_input(attrs.evolve(found, role=self.role))
        facts.judged[dataset.identity] = attrs.evolve(dataset, input_facets={facet.KEY: facet.to_dict()})


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


@attrs.frozen
class Endpoint:
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
        return Dataset(f"{self.platform}://{self.host}", f"endpoints/{self.name}", facets)

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
