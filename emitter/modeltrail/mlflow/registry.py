"""What happens to the versions of registered models: who, when, and what was before, which MLflow forgets.

A version that a run made becomes an output of that run. Whatever happens to it later, and a second version of
the same run, is a run of its own, of the job `{name}.register`: so nothing replaces what was told before.
"""

import copy
import getpass
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec

from modeltrail import context, settings, standard, transports
from modeltrail import event as events
from modeltrail.context import Parent
from modeltrail.event import Dataset
from modeltrail.facets import Capture
from modeltrail.guard import guarded
from modeltrail.mlflow import joining, models, names, record
from modeltrail.mlflow.record import Server
from modeltrail.mlflow.stores import Finish
from modeltrail.mlflow.tracking import loaded, parent_of, story
from modeltrail.observe.model import ModelView
from modeltrail.runs import process
from modeltrail.runs.facts import Facts
from modeltrail.runs.models import Model

JOB_TYPE: Final = "REGISTER"
PROMPT: Final = "mlflow.prompt.is_prompt"
_VERSION: Final = re.compile(r"models:/([^/]+)/(\d+)")
_MOST: Final = 10_000
"""So many versions of one name, or run, are looked at."""


class Registry:
    """Sees a registry store.

    Args:
        store: it.
        uri: where it is.
        tracking_uri: where MLflow keeps the runs that its versions come from.
        in_server: whether this is a process of `mlflow server`, which does not know who asks.
    """

    METHODS: ClassVar[tuple[str, ...]] = (
        "create_model_version",
        "set_registered_model_alias",
        "delete_registered_model_alias",
        "transition_model_version_stage",
        "delete_model_version",
        "delete_registered_model",
        "rename_registered_model",
        "set_model_version_tag",
        "get_model_version_download_uri",
    )

    def __init__(self, store: Any, uri: str, tracking_uri: str | None, *, in_server: bool) -> None:
        self._store = store
        self._tracking_uri = tracking_uri
        self._in_server = in_server
        self._namespace = names.namespace(uri)

    def create_model_version(self, **_: Any) -> Finish:
        """A version is registered."""

        def finish(version: Any) -> None:
            if _is_model(version):
                with process.Section():
                    transports.emit(self._versions().registered(version, self._known()))

        return finish

    def set_registered_model_alias(self, name: str, alias: str, version: Any) -> Finish:
        """An alias is given to a version, and thereby taken from the one that had it."""
        before = self._holder(name, alias)

        def finish(_: Any) -> None:
            told = self._store.get_model_version(name, version)
            previous = _previous(before)
            self._tell(told, "alias_set", previous=previous)
            if before is not None and str(before.version) != str(version):
                taken = self._store.get_model_version(name, before.version)
                self._tell(taken, "alias_removed", previous=previous)

        return finish

    def delete_registered_model_alias(self, name: str, alias: str) -> Finish | None:
        """An alias is taken away."""
        before = self._holder(name, alias)
        if before is None:
            return None

        def finish(_: Any) -> None:
            now = self._store.get_model_version(name, before.version)
            self._tell(now, "alias_removed", previous=_previous(before))

        return finish

    def transition_model_version_stage(self, name: str, version: Any, stage: str, **_: Any) -> Finish:
        """A version goes to a stage; what had to leave it for that goes to the archive."""
        before = self._of_stage(name, stage)

        def finish(now: Any) -> None:
            others = [each for each in before if str(each.version) != str(version)]
            self._tell(now, "stage_change", previous=_previous(others[0] if others else None))
            for other in others:
                after = self._store.get_model_version(name, other.version)
                if after.current_stage != other.current_stage:
                    self._tell(after, "stage_change", previous=_previous(other))

        return finish

    def delete_model_version(self, name: str, version: Any) -> Finish:
        """A version is deleted."""
        before = record.or_none(self._store.get_model_version, name, version)
        return lambda _: self._deleted([before])

    def delete_registered_model(self, name: str) -> Finish:
        """All versions of a name are deleted."""
        before = versions_where(self._store, "name", name)
        return lambda _: self._deleted(before)

    def rename_registered_model(self, name: str, new_name: str) -> Finish:
        """All versions of a name go by another one from now on."""

        def finish(_: Any) -> None:
            for each in versions_where(self._store, "name", new_name):
                now = self._store.get_model_version(new_name, each.version)  # a search leaves out aliases
                with process.Section():
                    for told in self._versions().renamed(name, now, self._known()) if _is_model(now) else ():
                        transports.emit(told)

        return finish

    def set_model_version_tag(self, name: str, version: Any, tag: Any) -> Finish:
        """A version is marked, as `validation_status: approved`."""

        def finish(_: Any) -> None:
            self._tell(self._store.get_model_version(name, version), None, tags={tag.key: tag.value})

        return finish

    def get_model_version_download_uri(self, name: str, version: Any) -> Finish | None:
        """A version is loaded, by its number or by an alias that it has now."""
        if self._in_server or joining.loading() is None:
            return None

        def finish(_: Any) -> None:
            found = self._store.get_model_version(name, version)
            loaded(placed(found, self._namespace).dataset(), found.run_id)

        return finish

    def _versions(self) -> "Versions":
        return Versions(self._server(), self._store, self._namespace, "observed")

    def _deleted(self, versions: Iterable[Any]) -> None:
        for each in versions:
            self._tell(each, "delete", previous=_previous(each))

    def _holder(self, name: str, alias: str) -> Any:
        """The version that has an alias; None if none has it."""
        return record.or_none(self._store.get_model_version_by_alias, name, alias)

    def _of_stage(self, name: str, stage: str) -> list[Any]:
        wanted = stage.lower()
        found = versions_where(self._store, "name", name)
        return [each for each in found if (each.current_stage or "").lower() == wanted]

    def _known(self) -> dict[str, Any]:
        """Who does it, where that is this process."""
        if self._in_server:
            return {}
        with guarded("asking who is at work"):
            return {"actor": getpass.getuser()}
        return {}

    def _server(self) -> Server:
        from mlflow.tracking._tracking_service.utils import _get_store, get_tracking_uri

        uri = self._tracking_uri or get_tracking_uri()
        return Server(_get_store(uri), names.namespace(uri), live=True, here=not self._in_server)

    def _tell(
        self, version: Any, action: str | None, *, tags: Mapping[str, Any] | None = None, **known: Any
    ) -> None:
        """A run of its own about a version."""
        if not _is_model(version):
            return
        at = events.now()
        facet = models.registration(
            version, self._namespace, action, at, "observed", **known, **self._known()
        )
        model = msgspec.structs.replace(placed(version, self._namespace), registration=facet)
        parent = None if self._in_server else context.parent()
        with process.Section():
            transports.emit(
                own_event(
                    *(version, model, events.new_run_id(), at), parent=parent, capture="observed", tags=tags
                )
            )


def _is_model(version: Any) -> bool:
    """MLflow keeps prompts in its registry too."""
    return PROMPT not in version.tags


class Versions(msgspec.Struct, frozen=True):
    """Tells that versions were registered, now or long ago.

    Attributes:
        server: where the runs are.
        store: the registry.
        namespace: of its models.
        capture: how it came to be known.
    """

    server: Server
    store: Any
    namespace: str
    capture: Capture

    def registered(self, version: Any, known: dict[str, Any]) -> dict[str, Any]:
        """The event that a version was registered: of the run that made it, else one of its own."""
        at = self.server.time(version.creation_timestamp)
        facet = models.registration(version, self.namespace, "register", at, self.capture, **known)
        run = self._run(version)
        model = msgspec.structs.replace(self._model(version, run), registration=facet)
        is_copy = copied(version) is not None
        if run is not None and not is_copy and self._is_first(version):
            told = self._of_run(run, model, at)
            # of a run that is over its last event has said all else, and may have known more
            is_late = run.info.end_time is not None and version.creation_timestamp > run.info.end_time
            return record.only(told, model.identity) if is_late else told
        own = names.made_id("version", self.namespace, version.name, str(version.version))
        around = context.parent() if self.server.here else None
        parent = self.server.identity(run) if run is not None and not is_copy else around
        told = own_event(version, model, own, at, parent=parent, capture=self.capture)
        return made_of_source(told, version, model, self.server.registry)

    def _of_run(self, run: Any, model: Model, at: str) -> dict[str, Any]:
        """An event of the run that made a model."""
        facts = story(self.server, run)
        model_id = getattr(model, "model_id", None)
        model.fit = next(
            (each.fit for each in facts.models if model_id == getattr(each, "model_id", "")), None
        )
        facts.models.append(model)
        parent = parent_of(run.info.run_id) or self.server.parent(run)
        return record.event("OTHER", at, facts, self.server.identity(run), parent)

    def renamed(self, before: str, version: Any, known: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events that a version goes by another name: it is made of the one before, which is gone."""
        at = events.now()
        facet = models.registration(version, self.namespace, "register", at, self.capture, **known)
        model = msgspec.structs.replace(self._model(version, self._run(version)), registration=facet)
        parent = context.parent() if self.server.here else None
        told = own_event(version, model, events.new_run_id(), at, parent=parent, capture=self.capture)
        old = copy.copy(version)
        old.name = before
        left = placed(old, self.namespace)
        yield made_of(told, model, left.dataset())
        gone = models.registration(old, self.namespace, "delete", at, self.capture, **known)
        left = msgspec.structs.replace(left, registration=gone)
        yield own_event(old, left, events.new_run_id(), at, parent=parent, capture=self.capture)

    def _run(self, version: Any) -> Any:
        """The run that made it, unless that was on another server, or is deleted."""
        return record.or_none(self.server.store.get_run, version.run_id) if version.run_id else None

    def _is_first(self, version: Any) -> bool:
        """Whether no other version of the name came of the run: of one dataset a run has one version."""
        of_run = versions_where(self.store, "run_id", version.run_id)
        others = [int(each.version) for each in of_run if each.name == version.name]
        return min(others, default=int(version.version)) >= int(version.version)

    def _model(self, version: Any, run: Any) -> Model:
        algorithm = run.data.tags.get(models.ALGORITHM) if run is not None else None
        found: Model
        with guarded("looking at a registered model"):
            if (original := copied(version)) is not None:
                known = record.or_none(self.store.get_model_version, *original)
                found = placed(version, self.namespace) if known is None else self._model(known, run)
            elif (model_id := _model_id(version)) is not None:
                told = self.server.store.get_logged_model(model_id)
                found = models.logged(told, self.server.registry, algorithm, fetch=self.server.fetch)
            else:
                found = models.saved(version.source, self.namespace, algorithm, fetch=self.server.fetch)
            return models.version(version, found, self.namespace)
        return placed(version, self.namespace)


def placed(version: Any, namespace: str) -> Model:
    """A version by its names alone."""
    return _placed(version.name, str(version.version), namespace)


def _placed(name: str, number: str, namespace: str) -> Model:
    return Model(ModelView(namespace, f"models/{name}"), name, number, namespace)


def copied(version: Any) -> tuple[str, str] | None:
    """Name and number of the version that this one is a copy of, as `copy_model_version` promotes them."""
    found = _VERSION.fullmatch(version.source or "")
    if found is None or found.groups() == (version.name, str(version.version)):
        return None
    return found[1], found[2]


def made_of_source(told: dict[str, Any], version: Any, model: Model, registry: str) -> dict[str, Any]:
    """The event with what the version was made of: the version that it is a copy of, and the logged model."""
    original, model_id = copied(version), _model_id(version) or getattr(model, "model_id", "")
    sources = [] if original is None else [_placed(*original, model.identity[0]).dataset()]
    sources += [models.by_id(model_id, registry)] if model_id else []
    return made_of(told, model, *sources) if sources else told


def made_of(told: dict[str, Any], model: Model, *sources: Dataset) -> dict[str, Any]:
    """The event with the datasets that the model was made of."""
    told["inputs"] += [source.as_input() for source in sources]
    told["job"]["facets"]["lineage"] = standard.lineage({model.identity: [each.identity for each in sources]})
    return told


def _model_id(version: Any) -> str | None:
    """The logged model that a version is; not every store says it, but by the URI that was registered."""
    found = version.model_id or (version.source or "").removeprefix("models:/")
    return found if found.startswith("m-") else None


def own_event(
    version: Any,
    model: Model,
    run_id: str,
    at: str,
    *,
    parent: Parent | None,
    capture: Capture,
    tags: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """COMPLETE of a run that is about a version and nothing else; what takes no time has no START."""
    facts = Facts(JOB_TYPE, capture)
    facts.models.append(msgspec.structs.replace(model, is_found=True))
    facts.add_tags(tags or {})
    identity = Parent(run_id, settings.current().namespace, f"{version.name}.register")
    return record.event("COMPLETE", at, facts, identity, parent)


def _previous(version: Any) -> dict[str, Any] | None:
    if version is None:
        return None
    return {"version": str(version.version), "aliases": sorted(version.aliases or ())}


def versions_where(store: Any, field: str, value: str) -> list[Any]:
    """The versions whose name or run is this one; a text has no escapes in a filter of MLflow."""
    quote = '"' if "'" in value else "'"
    return list(store.search_model_versions(f"{field} = {quote}{value}{quote}", max_results=_MOST))
