"""What is known of a run so far. Looking happens outside of the lock, only writing down inside of it."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from modeltrail import event, naming, standard
from modeltrail.errors import ConfigError
from modeltrail.event import Dataset
from modeltrail.facets import (
    Capture,
    Facet,
    ModelTrailFeatureTransformationsRunFacet,
    ModelTrailMetricsRunFacet,
)
from modeltrail.guard import guarded
from modeltrail.observe import code, environment, loads, redact
from modeltrail.observe import model as observed
from modeltrail.observe.data import DataView
from modeltrail.observe.members import Members
from modeltrail.observe.model import ModelView
from modeltrail.runs import models, process, training, transforms
from modeltrail.runs.datasets import ROLES, Input
from modeltrail.runs.fits import Apart, Fit, Fits
from modeltrail.runs.metrics import Metrics
from modeltrail.runs.models import CARD, Model
from modeltrail.runs.params import Params
from modeltrail.runs.reads import Read, Reads
from modeltrail.runs.steps import Steps
from modeltrail.runs.training import Training
from modeltrail.runs.transforms import Identity, Seen, Transform
from modeltrail.runs.writes import Writes

LEARNED_FROM: Final = frozenset({"train", "validation", "calibration", "prompt"})
"""The roles of data that shapes a model; lineage leads from these to it, and from no others."""

DECLARABLE: Final = frozenset(
    {*training.FIELDS, *CARD, "at", "architecture", "license", "description", "owner"}
)


class Facts:
    """Everything that a run has recorded; see `modeltrail.runs.story` for the events made from it.

    `capture` says how its parameters and metrics came to be known, unless another run's are taken over.
    """

    def __init__(self, job_type: str | None = None, capture: Capture = "observed") -> None:
        self.job_type = job_type
        self.capture = capture
        self.inputs: dict[Identity, Input] = {}
        self.outputs: dict[Identity, Dataset] = {}
        self.judged: dict[Identity, Dataset] = {}  # models evaluated or deployed: inputs that are no data
        self.models: list[Model] = []
        self.put_out = 0  # how often something was
        self.saved_at = ""  # when the last of them that this run made was told
        self.steps: list[Transform] = []
        self.writes = Writes()
        self.fitted_steps = Steps()
        self.fits = Fits()
        self.chunks: dict[Fit, dict[str, Members]] = {}  # by their digests: told as one when the run ends
        self.params = Params(capture)
        self.metrics = Metrics()
        self.training = Training()
        self.declared: dict[str, Any] = {}
        self.tags: dict[str, str] = {}
        self.run_facets: dict[str, Mapping[str, Any]] = {}
        self.job_facets: dict[str, Mapping[str, Any]] = {}
        self._loaded: dict[tuple[str, str, str | None], Model] = {}
        self.reads = Reads()
        self._written_again: dict[str, None] = {}
        self.contents: dict[str, str] = {}  # data in memory -> the name that it goes by in this run
        self._lock = process.Lock()

    # --- data ------------------------------------------------------------

    def add_input(self, found: Input) -> Dataset:
        """Write an input down; of one that is there already only what is new."""
        with self._lock:
            known = self.inputs.get(found.dataset.identity)
            if known is not None and (known := found.beside(known)) is not None:
                if self._is_own(found, known):
                    found = msgspec.structs.replace(
                        found, dataset=known.dataset, fingerprint=known.fingerprint
                    )
                found.role = found.role or known.role
                found.fits |= known.fits
                found.members = found.members or known.members
                found.use = {**known.use, **found.use}
                if found.capture == "declared" or found.fingerprint["scope"] == "none":
                    found.fingerprint = known.fingerprint
                if found.capture == "declared":
                    found.capture = known.capture
            self.inputs[found.dataset.identity] = found
        return found.dataset

    def add_source(self, found: Input) -> None:
        """Write down what data was read from; what is known of that as an input stays.

        A model was trained on it if it was on any of its rows, whatever others were for. Where fits took
        different rows how they were chosen is told of the data in memory alone.
        """
        identity, digest = found.dataset.identity, found.fingerprint["digest"]
        with self._lock:
            known = found.beside(self.inputs.get(identity, found)) or found
            fits = known.fits | found.fits
            role, use = known.role, {**found.use, **known.use}
            if known.fits and "features" in found.use:  # each fit took some of the columns
                use["features"] = list(dict.fromkeys([*use["features"], *found.use["features"]]))
            if role == found.role and known.is_chosen_apart(found):
                use["split"] = None
            if found.role == "train" and role in LEARNED_FROM - {"train"}:
                role, use = "train", {**use, "split": found.use.get("split")}
            elif role == "other" or (found.role in LEARNED_FROM and role not in LEARNED_FROM):
                role = found.role or role
            if digest in {"", known.fingerprint["digest"]} or self._is_own(found, known):
                profile = known.profile or found.profile
                self.inputs[identity] = msgspec.structs.replace(
                    known, role=role, use=use, profile=profile, fits=fits, others=found.others
                )
            else:
                self.inputs[identity] = msgspec.structs.replace(found, role=role, fits=fits)

    def add_write(self, sources: Sequence[Input] | None, to: Identity, step: Mapping[str, Any] = {}) -> bool:
        """Write down of which files' data a file was written, and how: see `Writes.add`."""
        for source in sources or ():
            self.add_source(source)
        made_of = None if sources is None else [source.dataset.identity for source in sources]
        return self.writes.add(to, made_of, step)

    def only_read(self) -> list[Read]:
        """What was read, and is so far no part of what is told."""
        with self._lock:
            return self.reads.apart_from({*self.inputs, *(model.identity for model in self.models)})

    def infer_late(self) -> None:
        """What was read after the last model was saved has shaped none, whatever was made of it."""
        with self._lock:
            for identity in self.reads.since(self.saved_at) if self.saved_at else ():
                found = self.inputs.get(identity)
                if found is not None and (found.role, found.capture) == ("other", "observed"):
                    found.role, found.capture = "inference", "inferred"

    def _is_own(self, found: Input, known: Input) -> bool:
        """Whether what was read (again) from a file is what the run wrote there: none of its sources."""
        identity = found.dataset.identity
        return found is not known and identity in self.outputs and identity[0] != naming.IN_MEMORY

    def add_output(self, dataset: Dataset) -> Dataset:
        """Write an output down."""
        with self._lock:
            self.outputs[dataset.identity] = dataset
            self.put_out += 1
        return dataset

    def add_step(
        self, name: str, sources: Sequence[Seen], targets: Sequence[Seen], details: Mapping[str, Any]
    ) -> None:
        """Write a step down; what it read and no step made is an input, what it made is an output."""
        with self._lock:
            self.steps.append(transforms.make(name, sources, targets, self.steps, details))
            for dataset, view in sources:
                if dataset.identity not in self.outputs and dataset.identity not in self.inputs:
                    self.add_input(Input.of(dataset, view, None, {}))
            for dataset, _ in targets:
                self.outputs.setdefault(dataset.identity, dataset)

    def called(self, dataset: Dataset, view: DataView, use: str) -> Dataset:
        """The dataset under a name that is the same in each run of the job.

        Data in memory has none of its own: it goes by `use` (`{job}/{role}`), numbered where the run has
        several, and the same content by the same name. Its version and fingerprint say which content.
        """
        if not (view.is_unnamed and dataset.name == view.name):
            return dataset
        with self._lock:
            taken = set(self.contents.values())
            free = itertools.chain([use], (f"{use}-{number}" for number in itertools.count(2)))
            name = self.contents.setdefault(
                view.fingerprint.digest, next(each for each in free if each not in taken)
            )
        return msgspec.structs.replace(dataset, name=name)

    def named_datasets(self) -> dict[str, Dataset]:
        """The datasets of this run by name; what exists only inside of it also by the name it was given."""
        with self._lock:
            known = [found.dataset for found in self.inputs.values()] + list(self.outputs.values())
        return {dataset.name: dataset for dataset in known}

    # --- values ------------------------------------------------------------

    def add_tags(self, tags: Mapping[str, object]) -> None:
        """Write tags down, without secrets."""
        clean, _ = redact.mapping({key: str(value) for key, value in tags.items()})
        with self._lock:
            self.tags.update(clean)

    def add_declared(self, values: Mapping[str, Any]) -> None:
        """Write down what somebody says.

        Raises:
            ConfigError: a name that means nothing here.
        """
        if wrong := sorted(values.keys() - DECLARABLE):
            raise ConfigError(
                f"nothing is called {', '.join(wrong)}; declare can say {', '.join(sorted(DECLARABLE))}"
            )
        clean, _ = redact.mapping(values)
        with self._lock:
            self.declared.update(clean)
        if trained := {name: clean[name] for name in training.FIELDS if name in clean}:
            self.training.add(trained, "declared")

    def look_around(self) -> None:
        """See the environment and the code that this process runs."""
        with guarded("looking at the environment"):
            seen = environment.look()
            self.run_facets[seen.KEY] = seen.to_dict()
            variables = standard.environment_variables(environment.variables())
            self.run_facets["environmentVariables"] = variables
        with guarded("looking at the code"):
            state = code.state()
            self.run_facets[state.KEY] = state.to_dict()
            if location := code.location():
                self.job_facets["sourceCodeLocation"] = location

    # --- models ------------------------------------------------------------

    def add_model(self, view: ModelView, name: str | None, source: object, step: int | None = None) -> Model:
        """Write an output model down as the last one; the same file, object or name is the same model."""
        with self._lock:
            self.saved_at = event.now()
            self.put_out += 1
            fit = self.fits.came_of(source)
            known = next((each for each in self.models if each.is_again(view, name, source)), None)
            if known is None:
                made = Model(view, name)
            else:
                self.models.remove(known)
                made = known.again(view, name, source, fit)
            before = made.fit
            made.remember(source, fit)
            now = None if fit is None or fit is source else fit.step
            made.step = next((each for each in (step, now) if each is not None), made.step)
            made.saved_at = self.saved_at
            self.models.append(made)
            self._came_of(made, before)
        return made

    def _came_of(self, made: Model, before: Fit | None) -> None:
        """A model came of its fit; where an earlier one of the same object was, nothing is left of that."""
        if made.fit is None:
            return
        made.fit.is_saved = True
        left = {each.fit for each in self.models}
        if before is None or before.is_copied or before in left:
            return
        if before is made.fit.before:
            self.fits.replace(before, made.fit)
            self._forget([before])

    def _forget(self, fits: Iterable[Fit]) -> None:
        for fit in fits:
            self.params.forget(fit)
            self.training.forget(fit)
            self.fitted_steps.forget(fit)

    def forget_gone(self) -> None:
        """Leave out what is of fits that nobody can save any more, if they are too many, and their data."""
        with self._lock:
            self._forget(gone := self.fits.too_many())
            for identity, found in list(self.inputs.items()) if gone else ():
                if found.fits and found.fits <= set(gone) and identity[0] == naming.IN_MEMORY:
                    del self.inputs[identity]

    def apart(self) -> Apart:
        """How the fits of the run are told."""
        return self.fits.apart(each.fit for each in models.made(self.models))

    def told_models(self) -> list[Model]:
        """The output models, each with how it is told apart: also from fits that only figures are of."""
        found, apart, judged = list(self.models), self.apart().fits, self.metrics.models()
        are_several = len({each.view.algorithm for each in found} - {None}) > 1
        for each in found:
            each.is_of_several = are_several or bool(each.view.holds)
            each.is_told_apart = each.fit in apart or models.is_twice(each, found)
            each.is_told_apart |= each.fit is not None and bool(judged - {each.fit.id})
        return found

    def made_of(self, thing: object) -> Model | None:
        """The output model that an object was saved as; of a search also its best model may have been.

        Of one that was loaded from a file the model that the file is.
        """
        with self._lock:
            best = getattr(thing, "best_estimator_", getattr(thing, "bestModel", thing))
            saved = next((each for each in self.models if each.was(thing) or each.was(best)), None)
            saved = saved or models.holding(self.fits.of(thing), self.models)
        if saved is not None or (view := loads.of(thing)) is None:
            return saved
        with self._lock:
            same = next((each for each in self.models if each.view.digest == view.digest), None)
            return same or self._loaded.setdefault((view.namespace, view.name, view.digest), Model(view))

    def add_written_again(self, place: str) -> None:
        """An output was written once more: how it is in the end is looked at in the end."""
        with self._lock:
            self._written_again[place] = None

    def take_written_again(self) -> list[str]:
        """What was written more than once since this was asked last."""
        with self._lock:
            found, self._written_again = list(self._written_again), {}
        return found

    def find_model(self, given: object) -> Model | None:
        """The output model that somebody means, the last one for None; None if it is none of them."""
        with self._lock:
            known = list(reversed(self.models))
        if given is None:
            return known[0] if known else None
        found = next((each for each in known if each.answers_to(given)), None)
        if found is None and not isinstance(given, str | Dataset | Model):
            view = loads.of(given) or observed.look(given)
            found = next((each for each in known if each.resembles(view)), None)
        return found

    def model(self, given: object) -> Model:
        """The model that somebody means, of this run or not.

        Raises:
            ConfigError: none is named, and the run made none.
        """
        found = self.find_model(given)
        if found is None and given is None:
            raise ConfigError("the run has no output model yet: name the model, or call output_model before")
        return found or models.named(given)

    def to_register(self, name: str, version: object, given: object, registry: str | None) -> Model:
        """The model to register as `name`, an output of the run from now on."""
        found = models.to_register(name, version, self.models) if given is None else self.model(given)
        with self._lock:
            if found not in self.models:
                found.is_found = found.view.namespace != naming.IN_MEMORY
                self.models.append(found)
            if (called := found.called(name, version, registry, self.models)) not in self.models:
                self.models.append(called)
        return called

    def version_of(self, name: str | None, version: str | None) -> Model:
        """The model version that somebody names: made by this run, or only known by name."""
        found = self.find_model(name)
        if name is None or (found is not None and version in {None, found.version}):
            return self.model(name)
        return Model(ModelView(models.REGISTRY, f"models/{name}"), name, version)

    # --- what it comes to ------------------------------------------------------------

    @property
    def kind(self) -> str:
        """The type of the job: as given, else TRAIN if a model is made, else JOB."""
        return self.job_type or ("TRAIN" if self.training or models.made(self.models) else "JOB")

    def role(self) -> str:
        """What inputs are for where nobody said."""
        makes_no_model = bool(self.outputs or self.models) and self.kind == "JOB"
        return "train" if self.job_type is None and not makes_no_model else ROLES.get(self.kind, "other")

    def roles(self) -> dict[Identity, str]:
        """The role of each input."""
        role = self.role()
        return {identity: found.role or role for identity, found in list(self.inputs.items())}

    def facets(self) -> Iterable[Facet]:
        """The ML facets of the run."""
        for build in (self._training, self._hyperparameters, self._transformations, self._summary):
            with guarded("writing a facet"), self._lock:  # one that cannot be written costs no other
                found = build()
                if found is not None:
                    yield found

    def _training(self) -> Facet | None:
        made = models.made(self.models) or (self.models if self.training else [])
        return self.training.facet(made[-1].view if made else ModelView("", ""), self.apart())

    def _hyperparameters(self) -> Facet | None:
        return self.params.facet(self.apart())

    def _transformations(self) -> Facet | None:
        steps = [step.step for step in self.steps] + transforms.choices(self.writes.told(), self.steps)
        steps += self.fitted_steps.told(self.apart())
        return ModelTrailFeatureTransformationsRunFacet(steps=steps) if steps else None

    def _summary(self) -> Facet | None:
        fits = [each.fit for each in self.models if each.fit is not None]
        metrics = self.metrics.summary({each.id for each in fits}, self.fits.alike(fits))
        return ModelTrailMetricsRunFacet(metrics=metrics, capture=self.capture) if metrics else None
