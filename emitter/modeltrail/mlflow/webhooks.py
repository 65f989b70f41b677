"""What MLflow's webhooks say of registered models, as events: for a server that cannot have the bridge.

A delivery is signed over its id, its time and its body; its id is what the event is identified by, so that to
deliver it again adds nothing. MLflow names neither who did it nor who had an alias before: that is known of
aliases that were given since the receiver began.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from modeltrail.mlflow import models, names
from modeltrail.mlflow.registry import PROMPT, made_of_source, own_event, placed

SIGNATURE: Final = "X-MLflow-Signature"
TIMESTAMP: Final = "X-MLflow-Timestamp"
DELIVERY: Final = "X-MLflow-Delivery-Id"
HEADERS: Final = (SIGNATURE, TIMESTAMP, DELIVERY)
REPLAY_S: Final = 300
"""So old, or so far ahead, a signed delivery may be; MLflow tries again for a minute or two."""


_MOST: Final = 1000
_EXAMPLE: Final = frozenset({
    ("run_id", "abcd1234abcd5678"), ("key", "example_key"), ("alias", "example_alias"),
})  # fmt: skip
"""What is in `example` of the payloads of mlflow.webhooks.types."""


class Refused(ValueError):  # noqa: N818  named after what happened
    """A delivery that is not taken; the message says why."""


def check(headers: Mapping[str, str], body: bytes, secret: str, now: float | None = None) -> None:
    """Check who sent a delivery, and when.

    Raises:
        Refused: the signature is missing or another one, or the delivery is too old.
    """
    given, at, delivery = (headers[name] for name in HEADERS)
    signed = b".".join((delivery.encode(), at.encode(), body))
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(digest).decode()
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Refused(f"the signature in {SIGNATURE} is not one of this secret")
    if not at.isdecimal() or abs((time.time() if now is None else now) - int(at)) > REPLAY_S:
        raise Refused(f"{TIMESTAMP} is more than {REPLAY_S} seconds from now")


class _Version(msgspec.Struct, frozen=True):
    """A version of a registered model as far as a webhook names it, in the words of MLflow's own class."""

    name: str
    version: str
    aliases: tuple[str, ...] = ()
    source: str | None = None
    model_id: str | None = None
    current_stage: str | None = None


class Receiver(msgspec.Struct):
    """Makes events of deliveries.

    Attributes:
        registry: the namespace of the registry's models.
    """

    registry: str
    _holders: dict[tuple[str, str], str] = msgspec.field(default_factory=dict)
    _told: dict[str, list[dict[str, Any]]] = msgspec.field(default_factory=dict)

    def events(self, delivery: str, body: bytes) -> list[dict[str, Any]]:
        """What a delivery tells; nothing where it is not about a version, or about nothing that is kept.

        Of one that is repeated the same, whatever has happened since.

        Raises:
            Refused: it is none of MLflow's.
        """
        if delivery not in self._told:
            if len(self._told) >= _MOST:
                self._told.clear()
            self._told[delivery] = self._made(delivery, body)
        return self._told[delivery]

    def _made(self, delivery: str, body: bytes) -> list[dict[str, Any]]:
        kind, at, data = _read(body)
        if _is_example(data):
            return []
        ways: dict[str, Callable[[str, str, Mapping[str, Any]], list[dict[str, Any]]]] = {
            "model_version.created": self._created,
            "model_version_tag.set": self._tagged,
            "model_version_alias.created": self._alias_set,
            "model_version_alias.deleted": self._alias_removed,
        }
        tell = ways.get(kind)
        try:
            return tell(delivery, at, data) if tell is not None else []
        except KeyError as error:
            raise Refused(f"{kind} has no {error}") from error

    def _created(self, _: str, at: str, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Identified as an import of the same version is."""
        tags = data.get("tags") or {}
        if not isinstance(tags, dict):
            raise Refused("model_version.created has tags that are none")
        if PROMPT in tags:
            return []
        version = _Version(str(data["name"]), str(data["version"]), source=str(data.get("source") or ""))
        run_id = names.made_id("version", self.registry, version.name, version.version)
        told = self._tell(run_id, at, version, "register", tags=tags)
        return [made_of_source(told, version, placed(version, self.registry), self.registry)]

    def _tagged(self, delivery: str, at: str, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        version = self._version(str(data["name"]), str(data["version"]))
        return [
            self._tell(
                self._run_id(delivery, version), at, version, None, tags={str(data["key"]): data["value"]}
            )
        ]

    def _alias_set(self, delivery: str, at: str, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """An alias that another version had is thereby taken from it."""
        name, alias, number = (str(data[key]) for key in ("name", "alias", "version"))
        before = self._holders.get((name, alias))
        previous = self._previous(name, before)
        self._holders[name, alias] = number
        moved = [(number, "alias_set")]
        if before is not None and before != number:
            moved.append((before, "alias_removed"))
        versions = [(self._version(name, each), action) for each, action in moved]
        return [
            self._tell(self._run_id(delivery, version), at, version, action, previous=previous)
            for version, action in versions
        ]

    def _alias_removed(self, delivery: str, at: str, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """MLflow does not say from which version: nothing can be told of one that was not seen before."""
        name, alias = str(data["name"]), str(data["alias"])
        if (before := self._holders.get((name, alias))) is None:
            return []
        previous = self._previous(name, before)
        del self._holders[name, alias]
        version = self._version(name, before)
        return [self._tell(self._run_id(delivery, version), at, version, "alias_removed", previous=previous)]

    def _version(self, name: str, number: str) -> _Version:
        held = [alias for (of, alias), holder in self._holders.items() if (of, holder) == (name, number)]
        return _Version(name, number, tuple(sorted(held)))

    def _previous(self, name: str, number: str | None) -> dict[str, Any] | None:
        if number is None:
            return None
        return {"version": number, "aliases": list(self._version(name, number).aliases)}

    def _run_id(self, delivery: str, version: _Version) -> str:
        return names.made_id("webhook", self.registry, delivery, version.version)

    def _tell(
        self,
        run_id: str,
        at: str,
        version: _Version,
        action: str | None,
        *,
        tags: Mapping[str, Any] | None = None,
        **known: Any,
    ) -> dict[str, Any]:
        facet = models.registration(version, self.registry, action, at, "observed", **known)
        model = msgspec.structs.replace(placed(version, self.registry), registration=facet)
        return own_event(version, model, run_id, at, parent=None, capture="observed", tags=tags or {})


def _is_example(data: Mapping[str, Any]) -> bool:
    """Whether MLflow only tries the webhook out (`test_webhook`): of a model that there is not."""
    return data.get("name") == "example_model" and not _EXAMPLE.isdisjoint(
        (name, value) for name, value in data.items() if isinstance(value, str)
    )


def _read(body: bytes) -> tuple[str, str, Mapping[str, Any]]:
    """(`model_version.created`, when, what it is about)."""
    try:
        document = json.loads(body)
        entity, action, at, data = (document[key] for key in ("entity", "action", "timestamp", "data"))
        datetime.fromisoformat(at)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused("the body is no message of an MLflow webhook") from error
    if not isinstance(data, dict):
        raise Refused("the body is no message of an MLflow webhook")
    return f"{entity}.{action}", at.replace("+00:00", "Z"), data
