"""The run and its verbs."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, Unpack

import msgspec

from modeltrail import naming
from modeltrail.errors import ConfigError
from modeltrail.event import Dataset
from modeltrail.facets import Capture, Facet, wire_name
from modeltrail.observe import data, origins
from modeltrail.observe import model as observed
from modeltrail.runs import datasets, moved, process, scenes, transforms
from modeltrail.runs.arguments import Action, Delivery, Origin, Role, Step, Use, Values
from modeltrail.runs.datasets import Input
from modeltrail.runs.fits import Fit
from modeltrail.runs.lifecycle import Lifecycle
from modeltrail.runs.scenes import Evaluation, Metrics, Slices
from modeltrail.runs.subjects import indexed

_UNRECORDED: Final = Dataset(naming.IN_MEMORY, "unrecorded")


class Run(Lifecycle):
    """One execution of a job, from START to COMPLETE, FAIL or ABORT.

    Made by `modeltrail.run` and used as a context manager; `start` and `end` do the same where a `with` does
    not fit. The verbs may be called from any thread. Nothing here raises, unless `strict` is configured: what
    cannot be recorded is logged once and left out. After the end the verbs warn once and do nothing, and so
    they do in a forked child, which has to open a run of its own.

    All that is recorded leaves with the last event; only values of metrics over steps leave before.
    """

    # --- data ------------------------------------------------------------

    def input(
        self,
        dataset: object,
        role: Role | None = None,
        name: str | None = None,
        version: str | None = None,
        *,
        namespace: str | None = None,
        capture: Capture | None = None,
        subjects: str | None = None,
        of: object = None,
        **use: Unpack[Use],
    ) -> Dataset:
        """Record a dataset that the run reads: its name, schema, rows and fingerprint as they are now.

        Args:
            dataset: a path or URI, a frame, table, array or sparse matrix, a list of those, or a `Dataset`.
            role: what for. Without it `train`; `test` in an evaluation, `other` where only data is made.
                Lineage leads to a model from train, validation, calibration and prompt data only.
            name: an OpenLineage name in place of the one found; the same in each run of the job.
            version: of the data; without it the digest, if that covers all of it.
            namespace: an OpenLineage namespace in place of the one found.
            capture: how the use came to be known, if not by what could be seen.
            subjects: the column that says which person a row is about: their pseudonyms are kept in an
                index, so that `modeltrail impact --subject` finds what learned from a person.
            of: the object that is fitted on it; of several models of a run only that one learned from it.
            use: the facet's other fields.

        Returns:
            The dataset, for `transform` and `evaluate`.
        """

        def record() -> Dataset:
            seen, view = datasets.look(dataset, name=name, namespace=namespace, version=version)
            seen = self.facts.called(seen, view, f"{self.name}/{role or 'data'}")
            seen = indexed(seen, dataset, subjects)
            found = Input.of(seen, view, role, datasets.use_of(dataset, use))
            found.capture = capture or view.capture
            if (profile := view.profile or data.profile(dataset)) is not None:
                found.profile = profile.to_dict()
            found.written("other")  # a field that does not exist fails here, and not at the end of the run
            read = list(datasets.sources(dataset, role, found.use))
            found.fits = self._fits(of, dataset, is_traced=bool(read) or seen.namespace != naming.IN_MEMORY)
            for source in read:
                self.facts.add_source(source.fitted(found.fits, role))
            return self.facts.add_input(found)

        return self._do("an input", record, _UNRECORDED)

    def output(
        self,
        dataset: object,
        name: str | None = None,
        version: str | None = None,
        *,
        namespace: str | None = None,
        subjects: str | None = None,
    ) -> Dataset:
        """Record a dataset that the run has written; call it after writing. Arguments as of `input`."""

        def record() -> Dataset:
            seen, view = datasets.look(dataset, name=name, namespace=namespace, version=version)
            seen = self.facts.called(seen, view, f"{self.name}/output")
            return self.facts.add_output(indexed(seen, dataset, subjects))

        return self._do("an output", record, _UNRECORDED)

    def transform(
        self,
        name: str,
        inputs: object,
        outputs: object,
        *,
        capture: Capture = "declared",
        **details: Unpack[Step],
    ) -> None:
        """Record a step from data to data.

        Args:
            name: what it does: `split`, `impute`, `one-hot`.
            inputs: one or a list of what `input` takes or returned; or names of outputs of earlier steps.
            outputs: the same; a plain name is something inside this run, `inmemory://` / `{job}/{name}`.
            capture: how the step came to be known.
            details: parameters, library, and so on.

        What it reads becomes an input of the run, what it makes an output, and lineage leads from the one to
        the other.
        """

        def record() -> None:
            sources = [seen for given in transforms.listed(inputs) for seen in self._read(given)]
            targets = [self._named(given, "data") for given in transforms.listed(outputs)]
            wire = {wire_name(field): details.get(field) for field in Step.__annotations__}
            self.facts.add_step(name, sources, targets, {**wire, "capture": capture})

        self._do("a transformation", record, None)

    def transformations(
        self, steps: Sequence[Mapping[str, Any]], *, capture: Capture = "observed", of: object = None
    ) -> None:
        """Record steps that were seen, as entries of the facet `modelTrail_featureTransformations`.

        Args:
            steps: the entries.
            capture: how they came to be known.
            of: as of `params`.
        """
        self._do("transformations", lambda: self.facts.fitted_steps.add(steps, capture, self._fit(of)), None)

    def _read(self, given: object) -> list[transforms.Seen]:
        """What a step reads: in the place of data that this run does not know, the files it was read from."""
        origin, seen = origins.of(given), self._named(given, "data")
        if origin is None or seen[0].identity in {*self.facts.inputs, *self.facts.outputs}:
            return [seen]
        return [datasets.look(source) for source in origin.sources] or [seen]

    def _named(self, given: object, use: str) -> transforms.Seen:
        """A dataset of this run by name, or any other by what can be seen of it."""
        seen, view = transforms.look(given, self.name, self.facts.named_datasets())
        return self.facts.called(seen, view, f"{self.name}/{use}"), view

    # --- values ------------------------------------------------------------

    def params(
        self,
        mapping: Mapping[str, Any],
        origin: Origin | None = "explicit",
        component: str | None = None,
        *,
        of: object = None,
    ) -> None:
        """Record parameters; secrets are taken out by their names and shapes.

        Args:
            mapping: names to values of any type; what JSON has no form for is described.
            origin: where the values come from; None where that is not known.
            component: the part of the program that they belong to, a step of a pipeline for instance.
            of: the object that they made, if they are not of the run as a whole: where the run makes several
                models, they are told of the one that this is saved as.
        """
        self._do("parameters", lambda: self.facts.params.add(mapping, origin, component, self._fit(of)), None)

    def _fits(self, of: object, dataset: object, *, is_traced: bool) -> frozenset[Fit]:
        """What learns from a dataset, of which it is known where it was read from, or not."""
        if (fit := self._fit(of)) is None:
            return frozenset()
        fit.is_traced &= is_traced
        self.facts.fits.learns_from(fit, origins.of(dataset))
        return frozenset({fit})

    def _fit(self, of: object) -> Fit | None:
        return None if of is None else self.facts.fits.of(of) or self.facts.fits.begin(type(of).__name__, of)

    def metric(
        self,
        name: str,
        value: float,
        step: int | None = None,
        *,
        of: object = None,
        **more: Unpack[Values],
    ) -> None:
        """Record a measured value. With a step it also goes into a series, sent in chunks of up to 1,000.

        A later value of the same name, model, split, dataset and slice replaces the earlier one in the
        summary.

        Args:
            name: what was measured.
            value: a number.
            step: the step of the training.
            of: the object that it was measured of, as of `params`; without it it is the run's.
            more: the entry's other fields.
        """

        def record() -> None:
            if (model_id := self.facts.fits.judged(self._fit(of))) is not None:
                more["model_id"] = model_id
            with process.Section():  # what is taken for a chunk is sent
                if chunk := self.facts.metrics.add(name, value, step, **more):
                    self._send_chunk(chunk)

        self._do("a metric", record, None)

    def tag(self, **tags: object) -> None:
        """Record tags of the run; values become text."""
        self._do("tags", lambda: self.facts.add_tags(tags), None)

    def declare(self, **facts: Any) -> None:
        """Record what cannot be seen: it is marked as declared.

        Args:
            facts: `description` and `owner` of the job; how the model is trained (`framework`, `algorithm`,
                `task`, `seeds`, …); what it is (`architecture`, `license`); its card (`intended_use`,
                `out_of_scope`, `limitations`, `ethics`, `users`, `author`, `at`).
        """
        self._do("a declaration", lambda: self.facts.add_declared(facts), None)

    def training(self, *, capture: Capture = "observed", of: object = None, **values: Any) -> None:
        """Record how a model is trained: attributes of `ModelTrailTrainingRunFacet`; `of` as of `params`."""
        self._do("the training", lambda: self.facts.training.add(values, capture, self._fit(of)), None)

    def add_facet(self, facet: Facet) -> None:
        """Attach a facet of runs as it is."""

        def record() -> None:
            if facet.ENTITY != "run":
                raise ConfigError(f"{facet.KEY} is no facet of runs but of a {facet.ENTITY}")
            self.facts.run_facets[facet.KEY] = facet.to_dict()

        self._do("a facet", record, None)

    # --- models ------------------------------------------------------------

    def output_model(
        self,
        model: object,
        name: str | None = None,
        version: str | None = None,
        *,
        of: object = None,
        step: int | None = None,
    ) -> Dataset:
        """Record a model that the run has made; call it after saving.

        Args:
            model: its file or folder, or the object itself.
            name: what people call it. With it the model is `models/{name}` of the registry
                `modeltrail://registry`, and the file one of its symlinks; without it the model is its file.
            version: of the model; without it its digest.
            of: the object that was saved there; it tells what the file holds, and `evaluate` knows it again.
            step: after which it was saved: what is measured `of` the object at a later one is not its own.

        Returns:
            The model as a dataset.
        """

        def record() -> Dataset:
            if isinstance(model, str | os.PathLike):
                moved.before_again(self.facts, naming.identity(model))
                if of is not None and not isinstance(of, Fit):
                    observed.saved(of, model)
            made = self.facts.add_model(observed.look(model), name, model if of is None else of, step)
            made.version = version or made.version
            self._turned_out(made)
            return made.dataset(self.facts.declared)

        return self._do("a model", record, _UNRECORDED)

    def evaluate(
        self,
        model: object,
        dataset: object,
        metrics: Metrics,
        slices: Slices | None = None,
        *,
        role: Role | None = None,
        split: Mapping[str, Any] | None = None,
        capture: Capture = "declared",
    ) -> None:
        """Record what a model scored on a dataset.

        The evaluation is a child run of its own (`{job}.evaluate`, of type EVALUATE): its test data would
        otherwise be an input of the run that trains, and so of the model. In a run of type EVALUATE it is
        that run. A model that is not saved yet is found when the run ends, and the evaluation sent then.

        Args:
            model: an output model of this run by name, file or object; None for the last one; or any other
                by file, object or `name@version`.
            dataset: what `input` takes or returned.
            metrics: name -> value.
            slices: column -> value -> metrics, `{"sex": {"f": {"auc": 0.8}}}`; or pairs of (column -> value,
                metrics) for slices by several columns.
            role: of the data; `test` without it.
            split: how the rows were chosen of the dataset, if they are not all of it.
            capture: how the values came to be known. What is observed comes score by score: at the end of the
                run those of one model on one dataset are one evaluation, or metrics of the run where the
                model is gone and was never saved; a value that was declared too is not told twice.
        """

        def record() -> None:
            seen, view = self._named(dataset, role or "test")
            found = Input.of(seen, view, role, datasets.use_of(dataset, {}))
            used = self.facts.inputs.get(seen.identity, found)
            if split is not None or used.role not in {None, role or "test"}:
                used = msgspec.structs.replace(used, use={**used.use, "split": split}, capture=view.capture)
            sources = list(datasets.sources(dataset, role, used.use))
            self.facts.reads.drop([used, *sources])
            scored, model_id = scenes.scores(metrics, slices), self.facts.fits.judged(model)
            self._judged(Evaluation(model, used, role, scored, capture, sources, model_id))

        self._do("an evaluation", record, None)

    def register(
        self,
        name: str,
        version: object = None,
        model: object = None,
        alias: str | Sequence[str] | None = None,
        *,
        registry: str | None = None,
        capture: Capture = "declared",
    ) -> Dataset:
        """Record that a registry knows the model as a version of `name`.

        The model becomes `models/{name}` of the registry in the events of this run, with the facet
        `modelTrail_registration`: an event of its own, about a dataset, is what most consumers ignore.

        Args:
            name: the registered name.
            version: the registry's version; without one the short digest.
            model: as of `evaluate`; None for the output model of that name, else the last one.
            alias: one or several: `champion`.
            registry: its URI, `mlflow://host:port`; `modeltrail://registry` without it.
            capture: how the registration came to be known.
        """

        def record() -> Dataset:
            aliases = [alias] if isinstance(alias, str) else list(alias or ())
            found = self.facts.to_register(name, version, model, registry)
            found.register(name, None if version is None else str(version), aliases, registry, capture)
            return found.dataset(self.facts.declared)

        return self._do("a registration", record, _UNRECORDED)

    def deploy(
        self,
        name: str | None,
        version: object,
        target: str | Mapping[str, str],
        *,
        environment: str = "production",
        action: Action = "update",
        capture: Capture = "declared",
        **details: Unpack[Delivery],
    ) -> None:
        """Record that a model version is put behind an endpoint.

        The deployment is a child run (`{job}.deploy`, of type DEPLOY) with the model as input and the
        endpoint as output; in a run of type DEPLOY it is that run.

        Args:
            name: of the model; None for the run's last output model.
            version: of the model; None for the version that this run made.
            target: `platform://host/endpoints/name`, a plain name, or a mapping with platform, name, and
                host, uri, region if known.
            environment: `production`, `staging`, …
            action: what is done to the endpoint.
            capture: how the deployment came to be known.
            details: the facet's other fields.
        """

        def record() -> None:
            model = self.facts.version_of(name, None if version is None else str(version))
            endpoint = scenes.endpoint(target)
            fields = {"environment": environment, "action": action, "capture": capture, **details}
            if self.facts.job_type == "DEPLOY" and not self.facts.judged:
                scenes.deployment(self.facts, model, endpoint, fields)
            else:
                self._child("DEPLOY", lambda facts, _: scenes.deployment(facts, model, endpoint, fields))

        self._do("a deployment", record, None)
