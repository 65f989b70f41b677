"""Object stores (S3, Google Cloud Storage, Azure Blob Storage) by obstore: put-if-absent is their create."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import from_url

from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.log.lease import hold
from modeltrail_collector.log.store import Lease

TIMEOUT = "30s"
# A put ends, well or badly, long before Kafka takes a collector that does not poll for dead (five minutes).
RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
_UNUSABLE = (
    exceptions.UnauthenticatedError,
    exceptions.PermissionDeniedError,
    exceptions.NotSupportedError,
    exceptions.InvalidPathError,
)


class ObjectStore:
    """See `log.store.Store`. A put is atomic, so nothing is ever torn or left half written here."""

    def __init__(self, uri: str, store: Any) -> None:
        self._uri = uri.rstrip("/")
        self._store = store

    @property
    def uri(self) -> str:
        """As it was given."""
        return self._uri

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`. A repeated put whose first answer was lost says False: the caller compares."""
        try:
            with self._translated(f"write {name}"):
                obstore.put(self._store, name, data, mode="create", use_multipart=False)
        except exceptions.AlreadyExistsError:
            return False
        except FileNotFoundError as error:
            raise ConfigError(f"cannot write {name} in {self.uri}: there is no such bucket") from error
        return True

    def read(self, name: str, length: int | None = None) -> bytes:
        """See `Store`."""
        with self._translated(f"read {name}"):
            if length is None:
                return bytes(obstore.get(self._store, name).bytes())
            # A range beyond the end is cut by some stores and refused by others.
            size = obstore.head(self._store, name)["size"]
            return bytes(obstore.get_range(self._store, name, start=0, end=min(length, size)))

    def modified(self, name: str) -> datetime:
        """When an object was written, by the store's own clock."""
        with self._translated(f"look at {name}"):
            return obstore.head(self._store, name)["last_modified"]

    def files(self, folder: str, after: str = "") -> list[str]:
        """See `Store`."""
        offset = f"{folder}/{after}" if after else None
        found = []
        with self._translated(f"list {folder}"):
            for page in obstore.list(self._store, f"{folder}/", offset=offset, chunk_size=1000):
                found += [item["path"].removeprefix(f"{folder}/") for item in page]
        return sorted(name for name in found if "/" not in name and name > after)

    def folders(self, folder: str) -> list[str]:
        """See `Store`."""
        with self._translated(f"list {folder}"):
            found = obstore.list_with_delimiter(self._store, f"{folder}/")
        return sorted(prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"])

    def replace(self, name: str, expected: bytes, data: bytes) -> bool:
        """See `Store`: the put is bound to the ETag of what was read."""
        try:
            with self._translated(f"replace {name}"):
                found = obstore.get(self._store, name)
                tag = found.meta["e_tag"]
                if bytes(found.bytes()) != expected or tag is None:
                    return False
                obstore.put(self._store, name, data, mode={"e_tag": tag}, use_multipart=False)
        except (FileNotFoundError, exceptions.PreconditionError):
            return False
        return True

    def remove(self, name: str) -> None:
        """See `Store`."""
        with self._translated(f"remove {name}"), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    def lease(self, name: str) -> AbstractContextManager[Lease]:
        """See `Store`."""
        return hold(self, name)

    def set_aside(self, name: str, expected: bytes) -> str | None:  # noqa: ARG002  never safe here
        """Not done: no power cut tears an object, so a bad one was changed, and no lock guards a move."""
        return None

    def clean(self, folder: str) -> int:  # noqa: ARG002  a put leaves nothing behind
        """Nothing to do."""
        return 0

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            yield
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError, FileNotFoundError):
            raise
        except _UNUSABLE as error:
            raise ConfigError(f"cannot {action} in {self.uri}: {_first_line(error)}") from error
        except exceptions.BaseError as error:
            raise Unavailable(f"cannot {action} in {self.uri}: {_first_line(error)}") from error


def open_objects(uri: str) -> ObjectStore:
    """Open an object store; it is not asked anything yet.

    Raises:
        ConfigError: The URI or the environment cannot be used.
    """
    try:
        options: Any = {"client_options": {"timeout": TIMEOUT, "allow_http": True}, "retry_config": RETRIES}
        return ObjectStore(uri, from_url(uri, **options))
    except (exceptions.BaseError, ValueError) as error:
        raise ConfigError(f"the log {uri!r} cannot be opened: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
