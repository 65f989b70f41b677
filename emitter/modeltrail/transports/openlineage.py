"""The border to the OpenLineage client: our transports for its events, its transports for ours.

`KafkaTransport` and `LocalTransport` are what ``type: modeltrail.KafkaTransport`` means in any tool that uses
openlineage-python. `ForeignSender` is used when some other transport (http, console, file, any class) is
configured: our events then leave through the client's code. Importing this module costs what the client
costs, 0.7 s here.
"""

import contextlib
import copy
import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
import msgspec
from openlineage.client import event_v2
from openlineage.client.client import Event
from openlineage.client.facet_v2 import parent_run
from openlineage.client.transport import Config, Transport, get_default_factory

from modeltrail import dbt, guard, settings, wire
from modeltrail.errors import ConfigError, DeliveryError
from modeltrail.transports import TERMINAL, kafka, local
from modeltrail.transports.breaker import Breaker
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.spool import Spool


@attrs.define
class KafkaConfig(Config):
    """The configuration of a `KafkaTransport`: `modeltrail.transports.kafka_options` lists its keys."""

    options: KafkaOptions

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> "KafkaConfig":
        """Read the transport section of an openlineage.yml; see `KafkaOptions.from_dict`.

        Raises:
            ConfigError: A value that cannot be used.
        """
        return cls(KafkaOptions.from_dict(params, settings.current()))


class KafkaTransport(Transport):
    """Sends the events of an OpenLineage client to Kafka through kafka-python.

    With `on_failure: spool` (the default) `emit` never raises: what Kafka does not take is kept in the spool.
    With `on_failure: raise` it raises and keeps nothing, as a member of a `composite` transport should.
    """

    kind = "modeltrail_kafka"
    config_class = KafkaConfig

    def __init__(self, config: KafkaConfig) -> None:
        self.sender = kafka.sender(config.options)

    def emit(self, event: Event | Mapping[str, Any]) -> None:
        """Deliver one event, an object of the client or its JSON form as a dict.

        Raises:
            LineageError: With `on_failure: raise`, the event could not be written down or delivered.
        """
        spools = self.sender.options.on_failure == "spool"
        with guard.guarded("emitting an event") if spools else contextlib.nullcontext():
            for content in _complete(plain(event)):
                self.sender.send(wire.key(content), wire.encode(content))

    def wait_for_completion(self, timeout: float = -1) -> bool:
        """Wait until nothing is on its way; say whether Kafka has every event by then.

        Args:
            timeout: Seconds; negative waits as long as it takes.
        """
        return self.sender.wait(timeout)

    def close(self, timeout: float = -1) -> bool:
        """Wait, then disconnect; say whether Kafka has every event. False when some lie in the spool."""
        return self.sender.close(timeout)


@attrs.define
class LocalConfig(Config):
    """The configuration of a `LocalTransport`: `log`, the directory of the log (default: as everywhere)."""

    inbox: Path

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> "LocalConfig":
        """Read the transport section of an openlineage.yml.

        Raises:
            ConfigError: `log` is no path of a directory.
        """
        return cls(local.local_directory(params, settings.current()))


class LocalTransport(Transport):
    """Writes the events of an OpenLineage client into the inbox of the log."""

    kind = "modeltrail_local"
    config_class = LocalConfig

    def __init__(self, config: LocalConfig) -> None:
        self.sender = local.LocalSender(config.inbox)

    def emit(self, event: Event | Mapping[str, Any]) -> None:
        """Append one event, an object of the client or its JSON form as a dict.

        Raises:
            LineageError: The event could not be written down, or not to disk.
        """
        for content in _complete(plain(event)):
            self.sender.send(wire.key(content), wire.encode(content))
            if content.get("eventType") in TERMINAL:
                self.sender.flush(-1)

    def wait_for_completion(self, timeout: float = -1) -> bool:
        """Sync to disk."""
        return self.sender.flush(timeout)

    def close(self, timeout: float = -1) -> bool:
        """Sync and close."""
        return self.sender.close(timeout)


class ForeignSender:
    """Sends our events through a transport of the OpenLineage client.

    What the transport refuses is kept in the spool; while its receiver is down, without waiting for it.

    Raises:
        ConfigError: The transport cannot be made.
    """

    def __init__(self, transport: Mapping[str, Any], spool: Path) -> None:
        try:
            # The client's factory takes `name` and `priority` out of the mapping that it is given.
            self._transport = get_default_factory().create(copy.deepcopy(dict(transport)))
        except Exception as error:  # whatever a library behind it raises of what it is given
            why = f"{type(error).__name__}: {error}"
            raise ConfigError(
                f"the OpenLineage transport {transport['type']} cannot be made: {why}"
            ) from error
        self._spool = Spool(spool / re.sub(r"[^A-Za-z0-9._-]", "_", transport["type"]))
        self._breaker = Breaker()
        self.undelivered = 0

    def send(self, key: bytes | None, value: bytes) -> None:  # noqa: ARG002  the transport makes its own key
        """Hand one event to the transport, or keep it in the spool.

        Raises:
            DeliveryError: The disk did not take it either.
        """
        try:
            self._breaker.check()
            self._transport.emit(client_event(msgspec.json.decode(value)))
        except DeliveryError as error:
            why = str(error)
        except Exception as error:
            why = f"the OpenLineage transport {self._transport.kind} failed: {type(error).__name__}: {error}"
            self._breaker.failed(why)
        else:
            self._breaker.succeeded()
            return
        self.undelivered += 1
        self._spool.keep(value, why)

    def settle(self, timeout: float) -> bool:
        """As `flush`: the run may be the program's last."""
        return self.flush(timeout)

    def flush(self, timeout: float) -> bool:
        """Wait for a transport that sends in the background."""
        wait = getattr(self._transport, "wait_for_completion", None)
        return wait is None or wait(timeout) is not False

    def close(self, timeout: float) -> bool:
        """Close the transport; say whether it has sent every event."""
        self._spool.close()
        return self._transport.close(timeout) and not self.undelivered


def _complete(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An event, and what its producer leaves out of it."""
    yield told
    with guard.guarded("looking for the files behind dbt's tables"):
        if more := dbt.supplement(told):
            yield more


def plain(event: Any) -> Any:
    """An event of the client as its serializer would give it, but with all values that `wire` can write.

    attrs objects become dicts, enums their values; entries that are None are dropped, and None and ``{}`` in
    lists.
    """
    kind = type(event)
    if kind in _SCALARS:
        return event
    if kind is dict or isinstance(event, Mapping):
        return _without_none(event.items())
    if kind is list or isinstance(event, list | tuple):
        return [item for value in event if (item := plain(value)) is not None and item != {}]
    if names := _field_names(kind):  # type: ignore[arg-type]  # types are hashable
        return _without_none((name, getattr(event, name)) for name in names)
    return event.value if isinstance(event, enum.Enum) else event


_SCALARS = frozenset({str, int, float, bool, type(None)})


def _without_none(items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    return {
        name: item
        for name, value in items
        if (item := value if type(value) in _SCALARS else plain(value)) is not None
    }


@lru_cache(maxsize=1024)
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in getattr(kind, "__attrs_attrs__", ()))


def client_event(event: Mapping[str, Any]) -> Event:
    """An event of the JSON form as an object of the client, which its serializer writes as the same JSON.

    Of the facets `parent` is an object of the client as well: it makes the key.
    """
    head = {"eventTime": event["eventTime"], "producer": event.get("producer", "")}
    if "dataset" in event:
        return event_v2.DatasetEvent(dataset=event_v2.StaticDataset(**_kept(event["dataset"])), **head)
    head |= {
        "job": event_v2.Job(**_kept(event["job"])),
        "inputs": [event_v2.InputDataset(**_kept(dataset)) for dataset in event.get("inputs", ())],
        "outputs": [event_v2.OutputDataset(**_kept(dataset)) for dataset in event.get("outputs", ())],
    }
    if "run" not in event:
        return event_v2.JobEvent(**head)
    run = _kept(event["run"])
    if parent := event["run"].get("facets", {}).get("parent"):
        run["facets"]["parent"] = _parent(parent)
    state = event_v2.RunState(event["eventType"]) if event.get("eventType") else None
    return event_v2.RunEvent(run=event_v2.Run(**run), eventType=state, **head)


class _Kept(enum.Enum):
    """A facet that the client's serializer leaves alone: of an enum it writes the value as it is.

    Of all else it drops each null, and each {} in a list: a parameter that is None would lose its value, an
    entry of a list its place.
    """

    @classmethod
    def of(cls, facet: Any) -> "_Kept":
        """This facet."""
        kept = object.__new__(cls)
        kept._value_ = facet
        return kept


_FACETS = frozenset({"facets", "inputFacets", "outputFacets"})


def _kept(entity: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a run, a job or a dataset, each facet as `_Kept`."""
    return {
        name: {key: _Kept.of(facet) for key, facet in value.items()} if name in _FACETS else value
        for name, value in entity.items()
    }


def _parent(facet: Mapping[str, Any]) -> parent_run.ParentRunFacet:
    root = facet.get("root")
    return parent_run.ParentRunFacet(
        run=parent_run.Run(**facet["run"]),
        job=parent_run.Job(**facet["job"]),
        root=root
        and parent_run.Root(run=parent_run.RootRun(**root["run"]), job=parent_run.RootJob(**root["job"])),
        producer=facet.get("_producer", ""),
    )
