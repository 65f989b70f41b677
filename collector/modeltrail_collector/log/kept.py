"""What a worker remembers: one file in the log's store, replaced as a whole by whoever has the lease."""

from typing import Generic, TypeVar

import msgspec

from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.log.store import Lease, Store

S = TypeVar("S")


class Kept(Generic[S]):
    """A state as it is in the store, while this process alone may change it.

    Args:
        store: The log's.
        lease: That this process holds.
        name: The file; it need not be there yet.
        type_: What it holds; made without arguments where there is no file.
        loss: What happens to who removes the file, for the message about one that is damaged.

    Raises:
        Unavailable: The store does not answer, or the file is not what was written.
    """

    def __init__(self, store: Store, lease: Lease, name: str, type_: type[S], loss: str) -> None:
        self._store = store
        self._lease = lease
        self._name = name
        store.clean(name.rpartition("/")[0])
        try:
            self._stored: bytes | None = store.read(name)
        except FileNotFoundError:
            self._stored = None
        try:
            self.state = msgspec.json.decode(self._stored or b"{}", type=type_)
        except msgspec.DecodeError as error:
            raise Unavailable(
                f"{store.uri}/{name} is not what was written ({error}): remove it, and {loss}"
            ) from error

    def save(self) -> None:
        """Write what changed. Raises OwnershipLost if somebody else wrote it meanwhile."""
        self._lease.check()
        data = msgspec.json.encode(self.state)
        if data == self._stored:
            return
        written = (
            self._store.create(self._name, data)
            if self._stored is None
            else self._store.replace(self._name, self._stored, data)
        )
        if not written:
            raise OwnershipLost(f"another process wrote {self._name} of {self._store.uri}")
        self._stored = data
