"""Random streams of events for the tests of tables: stories, oddities, copies, and what came out of order."""

import json
import random
from datetime import timedelta

from modeltrail_collector.model import LOCAL, LogPartition, Reason

OLD = LogPartition("events", "00000000-0000-4000-8000-00000000000a", 0)
PARTITIONS = (
    LOCAL,
    LogPartition("events", "00000000-0000-4000-8000-00000000000b", 0),  # OLD's topic, made anew
    LogPartition("events", "00000000-0000-4000-8000-00000000000b", 1),
)


class World:
    """A random stream of events over some partitions, in the order in which it comes."""

    def __init__(self, seed: int, make) -> None:
        self.chance = random.Random(seed)
        self.make = make
        self.stream = [self._value(event) for event in self._events()]
        copies = [self._copy(value) for value in self.chance.sample(self.stream, 4)]
        for value in [*copies, b"nope", b"\xff", b"{}", b""]:
            self.stream.insert(self.chance.randrange(len(self.stream)), value)
        for _ in range(8):  # out of order, some of it far
            value = self.stream.pop(self.chance.randrange(len(self.stream)))
            self.stream.insert(self.chance.randrange(len(self.stream)), value)

    def _events(self):
        make, day = self.make, timedelta(days=1)
        for number in range(1, self.chance.randint(3, 5)):
            at = make.base + self.chance.random() * 5 * day
            scaler = self.chance.choice(["StandardScaler", "QuantileTransformer"])
            yield from make.prepare(number, at, raw="raw", features=f"features {number % 2}")
            yield from make.train(number, at + day, features="features 1", strength=number, scaler=scaler)
            yield from self._evaluation(number, at + 2 * day)
        for number in range(6):
            yield self._registration(number)
        ids = ["it's", "a\\b", "", *(make.uuid7(make.base + n * day, n) for n in range(3))]
        for run_id in ids:
            kinds = self.chance.sample(["START", "RUNNING", "COMPLETE", "FAIL", "ABORT", None], 3)
            for kind in kinds:
                at = make.base + self.chance.random() * day
                metrics = [{"name": "loss", "value": self.chance.random(), "step": self.chance.randrange(3)}]
                series = {"seq": self.chance.randrange(2), "points": metrics}
                facets = {"modelTrail_metricSeries": make.facet("s", **series), "odd": {"n": kind}}
                if self.chance.random() < 0.3:
                    facets = {"odd": {"_deleted": True}}
                yield make.run_event(kind, at, run_id, f"job-{run_id[:2]}", run_facets=facets)
        for number in range(3):
            at = make.base + self.chance.random() * 40 * day
            job = {"namespace": "n", "name": f"j{number % 2}", "facets": {"a": {"v": number}}}
            yield {"eventTime": at.isoformat(), "job": job}

    def _registration(self, number: int):
        """Bytes under another name, in a run of its own that may be heard again, with other bytes."""
        make, at = self.make, self.make.base + self.chance.random() * timedelta(days=8)
        digest = f"sha256:{make.digest(f'model {self.chance.randint(1, 3)}')}"
        copied = make.dataset(
            self.chance.choice(["copies/a", "copies/b"]),
            namespace=self.chance.choice(["modeltrail://registry", "elsewhere"]),
            modelTrail_registration=make.facet("r", name="copy", version=str(number)),
            outputFacets__modelTrail_modelArtifact=make.facet("a", digest=digest),
        )
        run_id = make.uuid7(make.base + timedelta(days=number % 3), 700)
        return make.run_event("COMPLETE", at, run_id, "register", outputs=[copied])

    def _evaluation(self, number: int, at):
        make = self.make
        figures = [{"name": "fairness", "value": self.chance.random()}]
        facet = make.facet("e", modelVersion=str(number), metrics=figures, dataset={"name": "census"})
        judged = make.dataset(
            "models/churn", namespace="modeltrail://registry", inputFacets__modelTrail_evaluation=facet
        )
        yield make.run_event("COMPLETE", at, make.uuid7(at, 900 + number), "audit", inputs=[judged])

    @staticmethod
    def _value(event) -> bytes:
        return json.dumps(event).encode()

    def _copy(self, value: bytes) -> bytes:
        event = json.loads(value)
        keys = self.chance.sample(list(event), len(event))
        return json.dumps({key: event[key] for key in keys}, indent=self.chance.choice([None, 1])).encode()

    def entries(self, partition: LogPartition, start: int, values: list[bytes]):
        found = []
        for offset, value in enumerate(values, start):
            try:
                (entry,) = self.make.entries([value], partition, offset)
            except ValueError:
                entry = self.make.rejected(offset, value, Reason("not_json", "$", "?"), partition=partition)
            found.append(entry)
        return found
