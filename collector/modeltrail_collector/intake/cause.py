"""What Kafka's refusals mean for a collector, in words that say what to change."""

import time
from collections.abc import Mapping
from typing import Any, Final

from modeltrail_collector.errors import CollectorError, ConfigError, Unavailable
from modeltrail_schemas.connect import causes
from modeltrail_schemas.connect.client import Network

PATIENCE_S: Final = 5.0
"""So long may a client be without any connection before that is said; reconnecting takes a second."""

AGAIN_S: Final = 60.0

# kafka-python's error -> what the collector is not allowed to do: operation, kind of resource.
_GRANTS: Final = {
    "TopicAuthorizationFailedError": ("Read", "topic"),
    "GroupAuthorizationFailedError": ("Read", "group"),
}
# What no second try mends, and what to do where the error does not say it.
_FATAL: Final = {
    "ClusterAuthorizationFailedError": "",
    "UnsupportedCodecError": "{error}. `pip install 'modeltrail[collector]'` brings it",
    "InvalidTopicError": "",
    "LogTruncationError": (
        "{error}: the topic lost records that may be in the log. Collect into another log, or make it anew"
    ),
    "FencedInstanceIdError": (
        "another collector of the group has the same group.instance.id; give each its own"
    ),
}


def translated(
    error: Exception,
    action: str,
    network: Network | None,
    names: Mapping[str, str],
    options: Mapping[str, Any],
) -> CollectorError:
    """An error of kafka-python's as one of ours.

    Args:
        error: What was raised.
        action: What was tried, to go on after "cannot".
        network: The client that tried, which knows why it has no connection.
        names: `servers`, `topic` and `group`.
        options: The client's security settings.
    """
    kind = type(error).__name__
    if kind in _GRANTS:
        operation, resource = _GRANTS[kind]
        mending = causes.grant(operation, resource, names[resource], names["servers"], options)
        return ConfigError(f"cannot {action}: {kind}: {mending}")
    if kind in _FATAL:
        return ConfigError(f"cannot {action}: {kind}: {(_FATAL[kind] or '{error}').format(error=error)}")
    failure = network.failure if network else None
    if failure is None:
        return Unavailable(f"cannot {action}: {_text(error)}")
    told = causes.explain(failure, options)
    return Unavailable(
        f"cannot {action}: {told.removeprefix(f'{failure.where}: ') if failure.where in action else told}"
    )


def _text(error: Exception) -> str:
    text = str(error)
    return text if type(error).__name__ in text else f"{type(error).__name__}: {text}"


class Watch:
    """Notices that a client has been without a connection for a while: kafka-python says nothing of it."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._since: float | None = None
        self._said = 0.0

    def trouble(self) -> causes.Failure | None:
        """Why there is no connection, once it is time to say so; then again every minute."""
        now = time.monotonic()
        failure = self._network.failure
        if failure is None:
            self._since = None
            return None
        if self._since is None:
            self._since, self._said = now, now - AGAIN_S
        if now - self._since < PATIENCE_S or now - self._said < AGAIN_S:
            return None
        self._said = now
        return failure
