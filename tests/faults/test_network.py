"""Row 6: collectors behind a network that delays, slows, cuts and falls silent; the producer is not."""

import random
import time
from collections.abc import Callable, Iterator

import pytest
from faults.members import SESSION_S, Task
from faults.oracle import growth
from faults.proxy import Proxy
from faults.scene import Scene, at_work_behind

pytestmark = [pytest.mark.kafka, pytest.mark.row(6)]

RSS_BYTES = 512 << 20


@pytest.fixture
def behind(task: Task, network: Proxy, faults_seed: int) -> Iterator[Scene]:
    """Two members that reach the broker only through the proxy."""
    with at_work_behind(network.address, task, faults_seed) as scene:
        yield scene


def is_slow(network: Proxy) -> None:
    network.latency_s = 0.1


def cuts(network: Proxy) -> None:
    for _ in range(10):
        network.reset()
        time.sleep(0.2)


def refuses(network: Proxy) -> None:
    network.refusing = True
    network.reset()
    time.sleep(SESSION_S + 1)


def falls_silent(network: Proxy) -> None:
    network.stall()
    time.sleep(2 * SESSION_S)


def trickles(network: Proxy) -> None:
    network.bytes_per_s = 1000.0
    time.sleep(2 * SESSION_S)


@pytest.mark.parametrize("fault", [is_slow, cuts, refuses, falls_silent, trickles])
def test_a_bad_network_loses_and_doubles_nothing(
    behind: Scene, network: Proxy, fault: Callable[[Proxy], None]
) -> None:
    """While it is bad and when it is good again: members stay alive and small, each record is there once."""
    fault(network)
    assert all(member.alive for member in behind.members.running)
    assert all(member.rss < RSS_BYTES for member in behind.members.running)
    if fault is not is_slow:
        network.heal()
    growth(behind.log)
    network.heal()
    behind.finish()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_network_of_changing_faults_loses_and_doubles_nothing(
    behind: Scene, network: Proxy, faults_seed: int
) -> None:
    """All of it again and again, in an order of chance, a minute and a half long."""
    chance = random.Random(faults_seed)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        chance.choice((is_slow, cuts, refuses, falls_silent, trickles))(network)
        if chance.random() < 0.7:
            network.heal()
            growth(behind.log)
    network.heal()
    behind.finish()
