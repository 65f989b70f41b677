"""Events into the inbox of the log: files that `modeltrail compact` takes in. No broker is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeltrail.errors import ConfigError
from modeltrail.settings import Settings
from modeltrail.transports.lines import LineFile


class LocalSender:
    """Appends events to one NDJSON file per process in `directory`.

    An event survives the death of the process as soon as `send` returns, and a power cut once it is flushed:
    at the end of each run (`transports.emit` flushes terminal events), at `flush` and at `close`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file = LineFile(directory)

    def send(self, key: bytes | None, value: bytes) -> None:  # noqa: ARG002  order in a file needs no key
        """Append one event.

        Raises:
            DeliveryError: The disk did not take it.
        """
        self._file.append(value)

    def flush(self, timeout: float) -> bool:  # noqa: ARG002  a sync cannot be given a time
        """Sync to disk.

        Raises:
            DeliveryError: The disk reports an error.
        """
        self._file.sync()
        return True

    def settle(self, timeout: float) -> bool:
        """Sync to disk, as `flush` does: this is where each run's events become safe from a power cut."""
        return self.flush(timeout)

    def close(self, timeout: float) -> bool:
        """Sync and close; a later send starts a new file."""
        synced = self.flush(timeout)
        self._file.close()
        return synced


def local_directory(transport: Mapping[str, Any], settings: Settings) -> Path:
    """The inbox that a `modeltrail.LocalTransport` names: its `log`, else the log of the settings.

    Raises:
        ConfigError: `log` is no path of a directory.
    """
    log = transport.get("log")
    if log is None:
        return settings.inbox
    if not isinstance(log, str) or "://" in log:
        raise ConfigError(f"`log` of modeltrail.LocalTransport is {log!r}; write the path of a directory")
    return settings.resolve(log) / "inbox"
