"""What a model is called, and the dataset it is in an event.

A model that has a name is `models/{name}` of its registry, by default `modeltrail://registry`, whatever file
it lies in, so that its versions are one node of the lineage graph; the version stands in the facet `version`:
the registry's, and before it is registered its digest. The file is in `symlinks`. A model without a name is
its file, or an object in memory.

OpenLineage's naming page has no row for models; a registry of its own scheme is what this project proposes.
"""

import contextlib
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from modeltrail import event, naming, standard
from modeltrail.event import Dataset
from modeltrail.facets import (
    ModelTrailModelArtifactOutputDatasetFacet,
    ModelTrailModelDatasetFacet,
    ModelTrailRegistrationDatasetFacet,
    wire_name,
)
from modeltrail.observe import loads
from modeltrail.observe import model as observed
from modeltrail.observe.model import ModelView
from modeltrail.runs.datasets import is_place, is_written_as_place
from modeltrail.runs.fits import Fit
from modeltrail_schemas import encoding

REGISTRY: Final = "modeltrail://registry"
SHORT: Final = 12
UNKNOWN: Final = "unknown"
CARD: Final = ("intended_use", "out_of_scope", "limitations", "ethics", "users", "author")


class Model(msgspec.Struct, eq=False, weakref=True):
    """A model as a run knows it.

    Attributes:
        view: what was seen of it.
        name: what people call it; None for a file or an object without a name.
        version: what people or a registry call this version.
        registry: the URI of the registry that knows the name.
        registration: the facet, once it is registered.
        is_of_several: whether its run trains models of other classes too, of which it tells one.
        fit: what it came of, as far as that was seen.
        step: of its training, after which it was saved, if that was said or seen.
        is_told_apart: whether its run makes models of other fits too.
        is_found: whether its run only registers it.
        saved_at: when it was saved last, RFC 3339; empty of one that its run did not make.
        is_written_over: whether its place is another model's now.
    """

    view: ModelView
    name: str | None = None
    version: str | None = None
    registry: str = REGISTRY
    registration: ModelTrailRegistrationDatasetFacet | None = None
    is_of_several: bool = False
    fit: Fit | None = None
    step: int | None = None
    is_told_apart: bool = False
    is_found: bool = False
    saved_at: str = ""
    is_written_over: bool = False
    _source: "weakref.ref[Any] | None" = None  # the object that was saved, while it lives
    _since: object | None = None  # once that is another model: what all have that it was saved as before

    @property
    def identity(self) -> tuple[str, str]:
        """Its OpenLineage (namespace, name)."""
        if self.name is None:
            return self.view.namespace, self.view.name
        return encoding.namespace(self.registry), f"models/{self.name}"

    @property
    def known_version(self) -> str:
        """The version, else the first digits of the digest; `unknown` without either."""
        return self.version or (self.view.digest or UNKNOWN)[:SHORT]

    def answers_to(self, given: object) -> bool:
        """Whether `given` means this model: one of its names, its file, its dataset, its content."""
        if isinstance(given, Model):
            return given is self or self.identity == given.identity
        if self.was(given):
            return True
        if isinstance(given, Dataset):
            return given.identity in {self.identity, (self.view.namespace, self.view.name)}
        if isinstance(given, str | os.PathLike):
            name, version = split(given)
            if version not in {None, self.version}:
                return False
            path = naming.local_path(given)
            return name in {self.name, self.identity[1], self.view.name} or (
                path is not None and (naming.FILE, path.as_posix()) == (self.view.namespace, self.view.name)
            )
        return False

    def is_again(self, view: ModelView, name: str | None, source: object) -> bool:
        """Whether an output model is this one, saved or named once more."""
        if name is not None and self.name is not None:
            return name == self.name
        is_elsewhere = naming.IN_MEMORY not in {view.namespace, self.view.namespace}
        return (self.was(source) and not is_elsewhere) or (view.namespace, view.name) == (
            self.view.namespace,
            self.view.name,
        )

    def again(self, view: ModelView, name: str | None, source: object, fit: Fit | None) -> "Model":
        """It as it was saved now; what it was is left behind where that has other bytes, of another fit."""
        found = self
        if not self._is_of(source, fit) and (view.digest is None or view.digest != self.view.digest):
            found = msgspec.structs.replace(self)
            self.is_written_over = True
        found.update(view, name)
        return found

    def _is_of(self, source: object, fit: Fit | None) -> bool:
        """Whether what is saved is what was saved before; of a place alone nothing says that it is not."""
        if isinstance(source, str | os.PathLike | Dataset) or self.was(source):
            return True
        return fit is not None and fit is self.fit and self._since in {None, fit}

    def update(self, view: ModelView, name: str | None) -> None:
        """What was seen of it now; a file says more than an object in memory."""
        if view.digest != self.view.digest:
            self.step = None
        if view.namespace != naming.IN_MEMORY or self.view.namespace == naming.IN_MEMORY:
            self.view = view
        self.name = name or self.name
        self.is_found = False

    def look_again(self, seen: ModelView) -> None:
        """It lies among other files now: the same model, in a folder of another content."""
        now = {name: getattr(seen, name) for name in ("digest", "size_bytes", "files")}
        self.view = msgspec.structs.replace(self.view, **now)

    def remember(self, source: object, fit: Fit | None) -> None:
        """The object that the model is, if it is one, not kept alive, and the fit of that."""
        if not isinstance(source, str | os.PathLike | Dataset):
            # A fit by itself: what came of it, but is not what its object is now.
            self.fit, self._source, self._since = fit, None, source if isinstance(source, Fit) else None
            with contextlib.suppress(TypeError):  # what has no weak references is found by its content
                self._source = weakref.ref(source)

    def was(self, thing: object) -> bool:
        """Whether this object is what was saved as the model."""
        return self._since is None and self._source is not None and self._source() is thing

    def forget(self, since: object) -> None:
        """The object that was saved is another model from here on; `since` is the same of all that it was."""
        self._since = since

    @property
    def content(self) -> object:
        """Its bytes, as far as they are known, else what it is called."""
        return self.view.digest or self.identity

    @property
    def state(self) -> tuple[int, object] | None:
        """Which object it was saved of, as it was then, if that is known: there is one reference to each."""
        return None if self._source is None else (id(self._source), self._since)

    def resembles(self, view: ModelView) -> bool:
        """Whether what was seen is this model: the same bytes, or the same class with as many numbers.

        The latter only where nobody knows which object was saved: a model and the one that it is to replace
        are of one class, with as many numbers.
        """
        if view.digest is not None and view.digest == self.view.digest:
            return True
        if self.state is not None or self._since is not None:
            return False
        return (
            None not in {view.algorithm, view.parameter_count}
            and (view.algorithm, view.parameter_count) == (self.view.algorithm, self.view.parameter_count)
            and "sha256-pickle" in {view.digest_algorithm, self.view.digest_algorithm}
        )

    def called(self, name: str, version: object, registry: str | None, several: Sequence["Model"]) -> "Model":
        """It, or among a run's models what it is registered as; else it once more, to be this version too."""
        same = (each for each in (self, *several) if each.view is self.view)
        found = next((each for each in same if each.may_be(name, version, registry)), None)
        return found or msgspec.structs.replace(self, registration=None)

    def may_be(self, name: str, version: object, registry: str | None) -> bool:
        """Whether it is no other version of a registry; one that goes by its digest may get a number."""
        if self.registration is None:
            return True
        is_version = version is None or self.version in {str(version), (self.view.digest or UNKNOWN)[:SHORT]}
        return is_version and (self.name, self.registry) == (name, registry or self.registry)

    def register(
        self, name: str, version: str | None, aliases: Sequence[str], registry: str | None, capture: str
    ) -> None:
        """Give it the name and version of a registry; without a version it is the short digest.

        An alias that it was given before in this run it keeps.
        """
        before, where = self.registration, (self.registry, self.name, self.version)
        self.name, self.registry = name, registry or self.registry
        self.version = version or self.known_version
        if before is not None and where == (self.registry, self.name, self.version):
            aliases = list(dict.fromkeys((*(before.aliases or ()), *aliases)))
        self.registration = ModelTrailRegistrationDatasetFacet(
            registry={"system": self.registry.partition(":")[0], "uri": self.registry},
            name=name,
            version=self.version,
            at=event.now(),
            aliases=list(aliases) or None,
            action="register",
            capture=capture,  # type: ignore[arg-type]
        )

    def reference(self) -> dict[str, Any]:
        """`{"namespace", "name", "version", "digest"}`, as facets refer to a model."""
        namespace, name = self.identity
        known = {"namespace": namespace, "name": name, "version": self.version, "digest": self.view.digest}
        return {key: value for key, value in known.items() if value is not None}

    def dataset(self, declared: Mapping[str, Any] | None = None) -> Dataset:
        """The dataset with all that is known; `declared` holds what people said about the model."""
        said = declared or {}
        facets: dict[str, Any] = {"datasetType": standard.dataset_type("MODEL", "ML_MODEL")}
        version = self.version or self.view.digest
        if version:
            facets["version"] = standard.dataset_version(version)
        if self.view.inputs or self.view.outputs:
            facets["schema"] = standard.schema(_signature(self.view))
        if self.name is not None and self.view.namespace != naming.IN_MEMORY and self.view.uri:
            facets["symlinks"] = standard.symlinks([(self.view.namespace, self.view.name, "LOCATION")])
        if self.view.namespace == naming.FILE and self.view.uri:
            lies = naming.file_uri(self.view.name)
            if lies != self.view.uri:  # behind a symbolic link
                facets["dataSource"] = standard.data_source(self.view.namespace, lies)
        for facet in (_model_facet(self, said), self.registration):
            if facet is not None:
                facets[facet.KEY] = facet.to_dict()
        artifact = _artifact(self.view, self.is_found)
        written = {artifact.KEY: artifact.to_dict()} if artifact else {}
        return Dataset(*self.identity, facets, {}, written)


def made(outputs: Sequence[Model]) -> list[Model]:
    """Those that came of their run: what it only registers did not."""
    return [model for model in outputs if not model.is_found]


def forms(model: Model, several: Sequence[Model]) -> list[Model]:
    """What the same object was saved as among a run's models, each content once; none if nothing is left."""
    found = [] if model.is_written_over else [model]
    found += [each for each in several if each is not model and model.state == each.state is not None]
    told = {each.content: each for each in reversed(found)}
    return [each for each in found if each in told.values()]


def is_twice(model: Model, several: Sequence[Model]) -> bool:
    """Whether the same lies in another file of the run: what a search found, a checkpoint of the fit."""
    same = (each for each in several if each.fit is model.fit is not None)
    return any(each.content != model.content for each in same)


def to_register(name: str, version: object, several: Sequence[Model]) -> Model:
    """The output model of this name and version, else of this name, else the last; else what has the name.

    One that is another version is it no more once another model was saved.
    """
    exact = [each for each in several if each.answers_to(f"{name}@{version}")]
    of_name = [each for each in several if each.answers_to(name)]
    last = several[-1] if several else named(name)
    if version is not None and of_name and of_name[-1].registration and not last.registration:
        of_name = []
    return (exact or of_name or [last])[-1]


def holding(fit: Fit | None, several: Sequence[Model]) -> Model | None:
    """The model file that holds what came of a fit beside others, and is no model itself."""
    holders = ((each, each.fit) for each in several if each.fit is not None and each.fit.is_holder)
    return next((model for model, holder in holders if fit in holder.parts), None)


def split(given: str | os.PathLike[str]) -> tuple[str, str | None]:
    """`name@version` as (name, version); the version is None where there is none."""
    name, at, version = os.fspath(given).rpartition("@")
    return (name, version) if at and name and "/" not in version else (os.fspath(given), None)


def named(given: object) -> Model:
    """The model that somebody means outside of the run that made it: a file, an object, `name@version`."""
    if isinstance(given, Model):
        return given
    name, version = split(given) if isinstance(given, str) else ("", None)
    # With a version, what lies here under the name alone is something else: `data@1` is no folder `data`.
    if isinstance(given, str) and not (is_place(given) if version is None else is_written_as_place(name)):
        return Model(ModelView(REGISTRY, f"models/{name}"), name, version)
    return Model(loads.of(given) or observed.look(given))


def _signature(view: ModelView) -> list[Mapping[str, Any]]:
    """The schema of a model: what goes in and what comes out, each as a struct."""
    parts = {"inputs": view.inputs, "outputs": view.outputs}
    return [
        {
            "name": part,
            "type": "struct",
            "fields": [
                {key: field[key] for key in ("name", "type") if field.get(key)} for field in signature
            ],
        }
        for part, signature in parts.items()
        if signature
    ]


def _model_facet(model: Model, said: Mapping[str, Any]) -> ModelTrailModelDatasetFacet | None:
    view = model.view
    framework = said.get("framework") or view.framework
    if framework is None:
        return None
    told = model.fit if model.is_told_apart else None
    signature = {"inputs": list(view.inputs), "outputs": list(view.outputs)}
    card = {wire_name(key): said[key] for key in CARD if said.get(key)}
    if card:
        card["at"] = said.get("at") or event.now()
    return ModelTrailModelDatasetFacet(
        framework=framework,
        flavor=view.flavor,
        format=view.format,
        model_id=told.id if told is not None else None,
        part_ids=[part.id for part in told.whole()[1:]] or None if told is not None else None,
        step=model.step,
        holds=list(view.holds) or None,
        algorithm=view.algorithm if model.is_of_several else None,
        architecture=said.get("architecture"),
        parameter_count=view.parameter_count,
        task=said.get("task") or view.task,
        license=said.get("license"),
        signature={key: value for key, value in signature.items() if value} or None,
        card=card or None,
        capture="observed" if view.framework else "declared",
    )


def _artifact(view: ModelView, is_found: bool) -> ModelTrailModelArtifactOutputDatasetFacet | None:
    if view.digest is None or view.digest_algorithm is None or view.size_bytes is None:
        return None
    files = [
        {"path": each.path, "sha256": each.sha256, "sizeBytes": each.size_bytes}
        for each in view.files
        if each.sha256 != "unreadable"
    ]
    return ModelTrailModelArtifactOutputDatasetFacet(
        digest=view.digest,
        digest_algorithm=view.digest_algorithm,
        uri=view.uri or f"{naming.IN_MEMORY}{view.name}",
        size_bytes=view.size_bytes,
        written=False if is_found else None,
        files=files or None,
    )
