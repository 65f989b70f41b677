"""What others make of our events: prints what docs/consumers.md shows, and records data/consumers anew.

PYTHONPATH=tests python -m interop.consumers feast
PYTHONPATH=tests python -m interop.consumers openmetadata --bootstrap-servers localhost:9092
PYTHONPATH=tests python -m interop.consumers record --bootstrap-servers localhost:9092
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from interop.feast_home import Feast, lineage_server
from interop.programs import OPENMETADATA, ROOT, kafka, start
from kafka import KafkaProducer
from kafka_broker import create_topic

SOURCE = Path(__file__).with_name("openmetadata_source.py")
CASES = ROOT / "tests" / "data" / "consumers" / "cases.jsonl"
Case = dict[str, Any]


def train_credit(folder: Path, **environment: str) -> None:
    """Make the raw data of examples/credit in a new folder, and train on it."""
    shutil.copytree(ROOT / "examples" / "credit", folder)
    for script in ("make_data.py", "train.py"):
        start([sys.executable, script], folder, Path(sys.prefix), **environment)


def read_by_openmetadata(bootstrap: str, topic: str) -> list[dict[str, Any]]:
    """What OpenMetadata's source makes of the events of a topic; see `openmetadata_source`."""
    done = start([OPENMETADATA / "bin/python", SOURCE, bootstrap, topic], SOURCE.parent, OPENMETADATA)
    return [json.loads(line) for line in done.stdout.splitlines()]


def recorded() -> list[Case]:
    """The cases with their answers: `case`, `event`, `feast`, `openmetadata`."""
    return [json.loads(line) for line in CASES.read_text().splitlines()]


def asked_feast(cases: list[Case], feast: Feast) -> list[Case]:
    """The cases with Feast's answers of now."""
    answers = feast.send(json.dumps(case["event"]).encode() for case in cases)
    return [case | {"feast": answer} for case, answer in zip(cases, answers, strict=True)]


def asked_openmetadata(cases: list[Case], bootstrap: str) -> list[Case]:
    """The cases with what OpenMetadata makes of them now; None of an event that it passes over."""
    topic = create_topic(bootstrap)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for case in cases:
        producer.send(topic, json.dumps(case["event"]).encode())
    producer.close()
    read = {told.pop("job"): told for told in read_by_openmetadata(bootstrap, topic)}
    names = [(case["event"].get("job") or {}).get("name", "") for case in cases]
    return [case | {"openmetadata": read.get(name)} for case, name in zip(cases, names, strict=True)]


def record(folder: Path, bootstrap: str) -> Iterator[str]:
    """Ask both anew about each case, and keep their answers."""
    with lineage_server(folder / "feast") as feast:
        cases = asked_openmetadata(asked_feast(recorded(), feast), bootstrap)
    CASES.write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases))
    yield f"{len(cases)} cases in {CASES.relative_to(ROOT)}"


def below(tree: Mapping[str, str | None], parent: str | None = None, depth: int = 1) -> Iterator[str]:
    """The jobs of a tree of runs, those below another one behind it and further in."""
    for job, above in tree.items():
        if above == parent:
            yield "  " * depth + job
            yield from below(tree, job, depth + 1)


def seen_by_feast(folder: Path, _: str) -> Iterator[str]:
    """Its run tree, its graph and its namespaces, of a training that sends to it."""
    with lineage_server(folder / "feast") as feast:
        http = {"OPENLINEAGE__TRANSPORT__TYPE": "http", "OPENLINEAGE__TRANSPORT__URL": feast.url}
        train_credit(folder / "credit", OPENLINEAGE_NAMESPACE="shop", **http)
        run = feast.runs()["train-credit"]
        yield "runs"
        yield from below(feast.tree(run["run_id"]))
        facets = [key for key in json.loads(run["facets_json"]) if key.startswith("modelTrail")]
        yield f"\n{run['job_name']} is {run['state']}, with {', '.join(sorted(facets))}"
        yield "\ngraph"
        yield from (f"  {edge}" for edge in sorted(feast.data_flow()))
        yield f"\nnamespaces: {', '.join(feast.get('namespaces')['namespaces'])}"


def seen_by_openmetadata(folder: Path, bootstrap: str) -> Iterator[str]:
    """Its pipelines, and their datasets with the tables that these may be."""
    topic = create_topic(bootstrap)
    train_credit(folder / "credit", **kafka(bootstrap, topic) | {"OPENLINEAGE_NAMESPACE": "shop"})
    told = read_by_openmetadata(bootstrap, topic)
    for pipeline in sorted({event["pipeline"] for event in told}):
        events = [event for event in told if event["pipeline"] == pipeline]
        states = Counter(event["state"] for event in events)
        yield f"pipeline {pipeline}: {', '.join(f'{count} {state}' for state, count in states.items())}"
        for side in ("inputs", "outputs"):
            found = {name: looked_for for event in events for name, looked_for in event[side].items()}
            yield from (f"  {side:7}  {name}  {tables_of(found[name])}" for name in sorted(found))


def tables_of(looked_for: Iterable[str]) -> str:
    """What a dataset may be in OpenMetadata, for reading."""
    return f"looked for as {', '.join(looked_for)}" if looked_for else "nothing that it knows"


SEEN = {"feast": seen_by_feast, "openmetadata": seen_by_openmetadata, "record": record}


def main() -> None:
    """Print what one of them sees, or record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=SEEN)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        for line in SEEN[options.what](folder, options.bootstrap_servers):
            print(line.replace(f"{folder}/credit/", ""))


if __name__ == "__main__":
    main()
