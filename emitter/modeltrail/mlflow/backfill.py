"""What an MLflow server has already, told as if the bridge had been there: same ids, original times.

To tell it again changes nothing: the events are the same to the byte as long as MLflow says the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

from modeltrail import transports
from modeltrail.errors import ConfigError, DeliveryError
from modeltrail.mlflow import names, record
from modeltrail.mlflow.record import Server
from modeltrail.mlflow.registry import PROMPT, Versions

_PAGE: Final = 1000
_AT_ONCE: Final = 8
_AHEAD: Final = 100


class Backfill:
    """An import, and what it has come to so far.

    Attributes:
        uri: of the tracking server or store.
        experiments: names of the experiments wanted; none for all.
        since: what began earlier is left out.
        runs: how many runs were told.
        versions: how many versions of registered models.
        events: in how many events.
    """

    def __init__(self, uri: str, experiments: Sequence[str] = (), since: datetime | None = None) -> None:
        from mlflow.tracking._tracking_service.utils import _get_store

        self.uri, self.experiments, self.since = uri, experiments, since
        self.runs = self.versions = self.events = 0
        uri = names.plain(self.uri)
        if (place := names.place(uri)) is not None and not place.exists():
            raise ConfigError(
                f"MLflow has no store at {uri}: give the --tracking-uri that the runs were told"
            )
        self._server = Server(_get_store(uri), names.namespace(uri), live=False, fetch=uri)

    def found(self) -> list[str]:
        """The ids of the runs to tell, the oldest first."""
        wanted = self._experiment_ids()
        since = f"attributes.start_time >= {int(self.since.timestamp() * 1000)}" if self.since else ""
        store = self._server.store

        def page(token: str | None) -> Any:
            from mlflow.entities import ViewType

            return store.search_runs(
                *(wanted, since, ViewType.ACTIVE_ONLY, _PAGE, ["attributes.start_time ASC"], token)
            )

        return [run.info.run_id for run in record.pages(page)] if wanted else []

    def tell_runs(self, run_ids: Sequence[str]) -> Iterator[str]:
        """Send what runs were, one after another, with the id of each that is told.

        A server is asked for several at once: each takes a request of its own, and one for each metric.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, len(run_ids), _AHEAD):
                ahead = run_ids[start : start + _AHEAD]
                for run_id, events in zip(ahead, pool.map(self._events, ahead), strict=True):
                    for event in events:
                        self._send(event)
                    self.runs += 1
                    yield run_id

    def _events(self, run_id: str) -> list[dict[str, Any]]:
        run = self._server.store.get_run(run_id)
        identity, parent = self._server.identity(run), self._server.parent(run)
        start, end = run.info.start_time, run.info.end_time or run.info.start_time
        kind = record.ENDS.get(run.info.status, "RUNNING")
        logged = self._server.logged(run)
        first, whole = self._server.facts(run, whole=False), self._server.facts(run, logged=logged)
        chunks = record.history(run, record.whole_history(self._server.store))
        return [
            record.event("START", self._server.time(start), first, identity, parent),
            *(record.chunk_event(chunk, self._server.time(end), identity, parent) for chunk in chunks),
            record.event(kind, self._server.time(end), whole, identity, parent),
            *record.evaluated(self._server, run, whole, identity, self._server.time(end), logged=logged),
        ]

    def tell_versions(self, runs: Iterable[str]) -> None:
        """Send the versions of registered models; where experiments were named, those of their runs."""
        from mlflow.tracking._model_registry.utils import _get_store, _resolve_registry_uri

        registry_uri = names.plain(_resolve_registry_uri(None, names.plain(self.uri)) or self.uri)
        registry = _get_store(registry_uri, names.plain(self.uri))
        versions = Versions(self._server, registry, names.namespace(registry_uri), "declared")
        made = set(runs)
        every = record.pages(lambda token: registry.search_model_versions(None, _PAGE, None, token))
        for found in sorted(every, key=lambda each: (each.creation_timestamp, each.name, int(each.version))):
            wanted = found.run_id in made if self.experiments else self._is_recent(found.creation_timestamp)
            if wanted and PROMPT not in found.tags:
                whole = registry.get_model_version(found.name, found.version)  # a search leaves out aliases
                self._send(versions.registered(whole, {"actor": whole.user_id or None}))
                self.versions += 1

    def _is_recent(self, milliseconds: int) -> bool:
        return self.since is None or milliseconds >= self.since.timestamp() * 1000

    def _experiment_ids(self) -> list[str]:
        every = record.pages(
            lambda token: self._server.store.search_experiments(max_results=_PAGE, page_token=token)
        )
        ids = {each.name: each.experiment_id for each in every}
        if missing := [name for name in self.experiments if name not in ids]:
            known = ", ".join(sorted(ids)) or "none"
            raise ConfigError(f"{self.uri} has no experiment {', '.join(missing)}; it has {known}")
        return [ids[name] for name in self.experiments or ids]

    def _send(self, event: dict[str, Any]) -> None:
        if not transports.emit(event):
            raise DeliveryError(
                f"an event was not taken, after {self.events} that were; `modeltrail doctor` looks for the "
                "reason. To import again adds what is missing."
            )
        self.events += 1
