"""A lease in an object store, where nothing is freed by its owner's death: who is silent for a term loses it.

The object `leases/<name>` names its holder and is written again every third of a term. Who waits watches the
object, never a clock of another machine: unchanged for a whole term of his own means that the holder is gone.
Every write is bound to what was read before it, so two can never both believe the same turn theirs.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

import msgspec

from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.log.store import Store

TERM_S: Final = 30.0
FREE: Final = b"{}"


class ObjectLease:
    """See `log.store.Lease`.

    It counts as lost from the moment at which a waiting one could have taken it: a term after the last write
    that is known to have arrived *began*.
    """

    def __init__(self, store: Store, name: str, term_s: float) -> None:
        self._store = store
        self._name = f"leases/{name}"
        self._term_s = term_s
        self._holder = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(8)}"
        self._turn = 0
        self._content = FREE
        self._valid_until = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {name}", daemon=True)

    def check(self) -> None:
        """See `log.store.Lease`."""
        if time.monotonic() >= self._valid_until:
            raise OwnershipLost(
                f"the lease {self._name} was not renewed within {self._term_s:g} s: "
                "another process may have taken over"
            )

    def acquire(self) -> None:
        """Wait for it, however long somebody else holds it."""
        seen, since = b"", time.monotonic()
        while True:
            began = time.monotonic()
            found = self._read()
            if found != seen:
                seen, since = found, began
            if (found == FREE or began - since >= self._term_s) and self._write(found, began):
                self._thread.start()
                return
            time.sleep(self._term_s / 30)

    def release(self) -> None:
        """Let the next one in at once; if the store is away, after a term."""
        self._stopped.set()
        self._thread.join()
        self._valid_until = 0.0
        with contextlib.suppress(Unavailable):
            self._store.replace(self._name, self._content, FREE)

    def _read(self) -> bytes:
        while True:
            with contextlib.suppress(FileNotFoundError):
                return self._store.read(self._name)
            self._store.create(self._name, FREE)

    def _write(self, expected: bytes, began: float) -> bool:
        self._turn += 1
        content = msgspec.json.encode({"holder": self._holder, "turn": self._turn})
        if not self._store.replace(self._name, expected, content):
            return False
        self._content = content
        self._valid_until = began + self._term_s
        return True

    def _renew(self) -> None:
        """A write whose answer is lost may have arrived: what is there says so."""
        while not self._stopped.wait(self._term_s / 3):
            began = time.monotonic()
            with contextlib.suppress(Unavailable, FileNotFoundError):
                found = self._store.read(self._name)
                if self._holder.encode() not in found or not self._write(found, began):
                    return


@contextlib.contextmanager
def hold(store: Store, name: str, term_s: float = TERM_S) -> Iterator[ObjectLease]:
    """Wait for the lease, and hold it within the block.

    Raises:
        Unavailable: The store does not answer.
    """
    lease = ObjectLease(store, name, term_s)
    lease.acquire()
    try:
        yield lease
    finally:
        lease.release()
