"""All faults at once, by chance: several groups of collectors at work, and somebody who lets nothing be.

Each `World` is a topic, a log, a few collectors and one who takes care of the log (`care`); its thread kills,
freezes, joins and ends them. Beside all of them the broker is killed and the network fails. When time is up
everything is mended, the rest is collected, and the log compared with what the broker acknowledged: also in a
world where something went wrong before, which is told with its place.
"""

import logging
import os
import random
import signal
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from faults.care import ANYWHERE, COLLECTING, ON_A_DISK, WORK, care, repair, rows_twice
from faults.members import SESSION_S, Member, Members, Task
from faults.oracle import Producer, all_sealed, compare, sealed_to, until
from faults.proxy import Proxy
from faults.scene import PARTITIONS, broker_behind_proxies
from faults.store_proxy import StoreProxy, no_faults
from kafka_broker import Broker, create_topic

from modeltrail_collector.failpoints import ENV

ENDS = {0, -signal.SIGKILL, 4}
"""What may come of a collector here: told to end, killed, or started while the broker was away."""
SIZE = 2
PATIENCE_S = 150.0
STORE_FAULTS = ("429", "500", "503", "drop", "500 after", "drop after", 1.0)


class World:
    """One group of collectors and its faults, all drawn from one seed."""

    def __init__(self, task: Task, producers: str, seed: int, store: StoreProxy | None = None) -> None:
        self.problems: list[str] = []
        self._chance = random.Random(seed)
        self._task = task
        self._store = store
        self._members = Members(task)
        self._carer: Member | None = None
        self._producer = Producer(producers, task.topic, seed, per_s=100)
        self._faults: list[Callable[[], None]] = [self._kill] * 12 + [self._kill_at_a_step] * 4
        self._faults += [self._care] * 4 + [self._freeze, self._replace, self._join, self._throttle]

    def run(self, deadline: float) -> None:
        """Do harm until the deadline, and send nothing more."""
        with self._noted():
            self._producer.start()
            for _ in range(SIZE):
                self._members.start()
            self._grow()
            while time.monotonic() < deadline:
                self._chance.choice(self._faults)()
                self._revive()
                if self._chance.random() < 0.2:
                    self._grow()
        with self._noted():
            self._producer.stop()

    def _grow(self) -> None:
        """Wait until more is sealed; both members may be about to die at a step."""
        log, before = self._task.log, sealed_to(self._task.log)
        until(lambda: self._revive() or sealed_to(log) > before, "one more record is sealed", PATIENCE_S)

    def finish(self) -> None:
        """Nothing fails any more: collect the rest and compare."""
        acked, log = self._producer.acked, self._task.log
        with self._noted():
            sealed = all_sealed(log, acked)
            until(lambda: self._revive() or sealed(), "everything is sealed", PATIENCE_S)
            self._members.drain()
        self._members.kill_all()
        self._end_carer()
        with self._noted():
            if self._store is None:
                repair(self._task)
        with self._noted():
            compare(log, acked, maybe=self._producer.failed)
            assert 0 == rows_twice(log), "the tables have records twice"

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """What goes wrong is told with its place, and what comes after it is done all the same."""
        try:
            yield
        except Exception as error:
            lines = traceback.extract_tb(error.__traceback__)
            place = " < ".join(f"{Path(line.filename).name}:{line.lineno}" for line in lines[:0:-1])
            self._note(f"{type(error).__name__}: {error} (in {place})")

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def _revive(self) -> None:
        """What a supervisor does: start again what ended."""
        for member in [each for each in self._members.running if not each.alive]:
            self._members.running.remove(member)
            self._note_end(member.wait(), "a collector")
        while len(self._members.running) < SIZE:
            self._members.start()

    def _note_end(self, code: int, who: str) -> None:
        if code not in ENDS:
            self._note(f"{who} ended with {code}: {self._task.errors.read_text()[-4000:]}")

    def _some(self):
        return self._chance.choice(self._members.running)

    def _kill(self) -> None:
        time.sleep(self._chance.choice((0.0, 0.05, 0.3, 0.6)) * self._chance.random())
        self._members.end(self._some(), signal.SIGKILL)

    def _kill_at_a_step(self) -> None:
        self._members.end(self._some(), signal.SIGKILL)
        step = f"{self._chance.choice(COLLECTING)}:{self._chance.randint(1, 4)}"
        self._members.start(environment={**self._task.environment, ENV: step})

    def _end_carer(self) -> None:
        if carer := self._carer:
            self._carer = None
            work = carer.task.environment[WORK]
            self._note_end(carer.end(signal.SIGKILL), f"who was to {work}")

    def _care(self) -> None:
        """Start the next work on the log when the last one has ended; at times kill who does it."""
        if self._carer and self._carer.alive and self._chance.random() < 0.9:
            return
        self._end_carer()
        works = ANYWHERE if self._store else ON_A_DISK
        work = self._chance.choice(list(works))
        environment = {**self._task.environment, WORK: work.__name__}
        if self._chance.random() < 0.6:
            environment[ENV] = f"{self._chance.choice(works[work])}:{self._chance.randint(1, 2)}"
        self._carer = Member(replace(self._task, environment=environment), care)

    def _freeze(self) -> None:
        frozen = self._some()
        if frozen.alive:
            frozen.freeze()
            time.sleep(2 * SESSION_S * self._chance.random() + 1)
            frozen.thaw()

    def _replace(self) -> None:
        self._note_end(self._members.end(self._some(), signal.SIGTERM), "a collector that was told to end")

    def _join(self) -> None:
        joined = self._members.start()
        time.sleep(self._chance.random())
        self._members.end(joined, signal.SIGKILL)

    def _throttle(self) -> None:
        if self._store is None:
            return
        share = self._chance.random()
        self._store.plan = lambda *_: (
            self._chance.choice(STORE_FAULTS) if self._chance.random() < share else None
        )
        time.sleep(2 * self._chance.random())
        self._store.plan = no_faults


def trouble(
    broker: Broker, network: Proxy, chance: random.Random, deadline: float, tell: Callable[[float], None]
) -> None:
    """What all worlds share fails now and then; `tell` hears how many seconds are left."""
    while (left := deadline - time.monotonic()) > 0:
        tell(left)
        time.sleep(min(chance.uniform(3, 12), max(deadline - time.monotonic(), 0)))
        fault = chance.choice(("reset", "reset", "stall", "slow", "refuse", "broker"))
        if fault == "reset":
            network.reset()
        elif fault == "stall":
            network.stall()
        elif fault == "slow":
            network.latency_s = 0.2
        elif fault == "refuse":
            network.refusing = True
            network.reset()
        elif chance.random() < 0.3:
            broker.kill() if chance.random() < 0.5 else broker.stop()
            broker.start()
        time.sleep(chance.uniform(0.5, 4))
        network.heal()


def run(seconds: float, seed: int, directory: Path, tell: Callable[[float], None]) -> list[str]:
    """Do harm for so long; returns what was not as it must be. `tell` hears how many seconds are left."""
    with ExitStack() as stack:
        (directory / "kafka").mkdir()
        broker, network, _ = stack.enter_context(broker_behind_proxies(directory / "kafka"))
        store = stack.enter_context(_s3())
        worlds = []
        for number in range(4):
            servers = network.address if number % 2 else broker.bootstrap_servers
            topic = create_topic(broker.bootstrap_servers, PARTITIONS)
            log = f"s3://lineage/{topic}" if number == 3 else str(directory / topic)
            letters = create_topic(broker.bootstrap_servers)
            task = Task(servers, topic, log, directory / f"errors-{number}")
            task = replace(task, environment=store.environment, dead_letter_topic=letters)
            worlds.append(
                World(task, broker.bootstrap_servers, seed + number, store if number == 3 else None)
            )
        deadline = time.monotonic() + seconds
        with ThreadPoolExecutor(len(worlds)) as pool:
            harm = [pool.submit(world.run, deadline) for world in worlds]
            trouble(broker, network, random.Random(seed), deadline, tell)
            wait(harm)
            network.heal()
            store.plan = no_faults
            list(pool.map(World.finish, worlds))
        return [f"world {number}: {text}" for number, world in enumerate(worlds) for text in world.problems]


@contextmanager
def _s3() -> Iterator[StoreProxy]:
    """S3 behind a proxy of ours; this process speaks to it too."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it tells of every request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    proxy = StoreProxy(f"http://{host}:{port}")
    os.environ.update(proxy.environment)
    urllib.request.urlopen(urllib.request.Request(f"{proxy.url}/lineage", method="PUT")).close()
    try:
        yield proxy
    finally:
        proxy.close()
        server.stop()
