"""The lease of an object store: one holder at a time, whatever becomes of the one before."""

import threading
import time

import pytest

from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.log.lease import FREE, ObjectLease, hold
from modeltrail_collector.testing import MemoryStore

TERM_S = 0.3


def test_two_take_turns() -> None:
    """The second waits until the first lets go, and then need not wait for the end of a term."""
    store, order = MemoryStore(), []

    def work(number: int) -> None:
        with hold(store, "tables", 5.0) as lease:
            order.append(number)
            time.sleep(0.05)
            lease.check()
            order.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4)
    assert order[0::2] == order[1::2]
    assert {0, 1, 2} == set(order)
    assert FREE == store.read("leases/tables")


def test_a_holder_that_works_for_long_keeps_it() -> None:
    """It is renewed in the background, for as long as its holder lives."""
    with hold(MemoryStore(), "tables", TERM_S) as lease:
        time.sleep(TERM_S * 2.5)
        lease.check()


def test_who_died_is_followed_after_a_term() -> None:
    """A holder that is not heard of for a term is taken for dead; if it wakes up, it is told."""
    store = MemoryStore()
    dead = ObjectLease(store, "tables", TERM_S)
    dead._thread = threading.Thread(target=lambda: None)  # it never renews
    dead.acquire()
    dead.check()
    began = time.monotonic()
    with hold(store, "tables", TERM_S) as lease:
        assert time.monotonic() - began >= TERM_S * 0.9
        lease.check()
        with pytest.raises(OwnershipLost, match="another process may have taken over"):
            dead.check()
        dead.release()
        lease.check()
        assert FREE != store.read("leases/tables")


def test_an_unreachable_store_costs_the_lease() -> None:
    """Who cannot renew it does not go on as if it were his."""
    store = MemoryStore()
    with hold(store, "tables", TERM_S) as lease:
        read = store.read

        def fail(name: str, length: int | None = None) -> bytes:
            raise Unavailable("away")

        store.read = fail
        time.sleep(TERM_S * 1.2)
        with pytest.raises(OwnershipLost):
            lease.check()
        store.read = read
