"""Writes the table of docs/conformance.md: what becomes of each facet of the installed OpenLineage client.

python tools/conformance.py          write it
python tools/conformance.py --check  exit code 1 where a row of the page is not so

Nothing in the table is written by hand. An example of each facet, made from the client's own class, goes into
a small story: data is prepared and a model trained, twice, the second time with the facet. All stories go
through one real log and its tables; what a facet does is where the answers about its story differ from those
about a story that has a facet there which nobody knows.
"""

import json
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from openlineage.client.serde import Serde

import modeltrail_collector
import modeltrail_schemas
from modeltrail_collector import answers
from modeltrail_collector.answers import Database
from modeltrail_collector.judge import judge
from modeltrail_collector.judge.schema import BASE_FIELDS
from modeltrail_collector.log import open_log
from modeltrail_collector.pump import seal_files
from modeltrail_collector.relay.marquez import problems
from modeltrail_collector.reports.report import report
from modeltrail_collector.tables import PUBLIC, compact

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "conformance.md"
sys.path.insert(0, str(ROOT / "tests"))

from client_facets import RUN_ID, SPECIFIED, class_of, instance  # noqa: E402  shared with the tests

HEADING: Final = "| facet of | key | kept | judged | in tables | used by | Marquez |\n"
BASE: Final = {"_producer": "https://example.com/", "_schemaURL": "https://example.com/facet.json"}
MEANT: Final = {"datasetType": "MODEL", "subType": "ML_MODEL"}
"""Of an example's texts those in which a certain word is looked for."""
WRONG: Final = [[]]
"""What no field may be."""
DERIVED: Final = [name for name in PUBLIC if name not in {"events", "facets", "rejected"}]
"""The tables that do more than hold what came."""
MARK: Final = re.compile(r"abc[0-9a-f]{3}")
PLACE: Final = re.compile(r'"(offset|\w*ingested_at)": ("[^"]*"|\d+)|\blocal/0/\d+|## Proof.*')
"""Where in the log something lies and since when, which is another for each story."""
ARTIFACT: Final = "modelTrail_modelArtifact"
(MINIMAL,) = (each.facet for each in modeltrail_schemas.examples(ARTIFACT) if each.name == "ok-minimal")

Event = dict[str, Any]
Told = dict[str, str]
"""Each question, or column of a row, with the answer as a text, but for what is each story's own."""


class Story:
    """Four runs, the last two with a facet; `mark` is in all names and ids, so that no two stories meet."""

    def __init__(self, number: int, entity: str, key: str, facet: str) -> None:
        self.mark = f"abc{number:03x}"
        self.entity, self.key, self._facet = entity, key, facet
        self.events = [self._event(step, job) for step, job in enumerate(("prepare", "train") * 2)]

    def _event(self, step: int, job: str) -> Event:
        read, wrote = ("raw", "features") if job == "prepare" else ("features", "model")
        event = {
            "eventTime": f"2026-03-02T0{step}:00:00Z",
            "eventType": "COMPLETE",
            "producer": "https://example.com/",
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {"runId": self._run_id(step), "facets": {}},
            "job": self._named(job),
            "inputs": [self._named(read) | {"inputFacets": {}}],
            "outputs": [self._named(wrote) | {"outputFacets": {}}],
        }
        if job == "train":
            event["outputs"][0]["outputFacets"][ARTIFACT] = MINIMAL | {"digest": self.digest(step)}
        for number, facets in enumerate(facet_maps(event, self.entity) if step > 1 else ()):
            facets[self.key] = json.loads(self._own_facet(number))
        return event

    def _named(self, name: str) -> dict[str, Any]:
        return {"namespace": self.mark, "name": name, "facets": {}}

    def _own_facet(self, number: int) -> str:
        """With texts of its own, so that it leads to nothing else."""
        text = self._facet.replace(RUN_ID, self._run_id(9))
        for field, word in MEANT.items():
            text = text.replace(f'"{field}": "text"', f'"{field}": "{word}"')
        return text.replace('"text"', f'"{self.mark}-other-{number}"')

    def _run_id(self, step: int) -> str:
        return f"0190a5d3-6f0f-7c5e-9d7b-{self.mark}{step:06}"

    def digest(self, step: int) -> str:
        """Of the model that a run made."""
        return f"{self.mark}{step:06}".ljust(64, "d")

    def fields(self) -> list[str]:
        """The facet's own."""
        return [name for name in json.loads(self._facet) if name not in BASE_FIELDS]

    def broken(self, field: str) -> Event:
        """An event whose facet is wrong there."""
        event = json.loads(json.dumps(self.events[-1]))
        facet_maps(event, self.entity)[0][self.key][field] = WRONG
        return event


def facet_maps(event: Event, entity: str) -> list[dict[str, Any]]:
    """Where an event has facets of an entity."""
    read, wrote = event["inputs"][0], event["outputs"][0]
    return {
        "run": [event["run"]["facets"]],
        "job": [event["job"]["facets"]],
        "dataset": [read["facets"], wrote["facets"]],
        "input_dataset": [read["inputFacets"]],
        "output_dataset": [wrote["outputFacets"]],
    }[entity]


def plain(answer: object) -> str:
    """A text that is the same for all stories about which the same is said."""
    return PLACE.sub("", MARK.sub("", json.dumps(answer, sort_keys=True)))


def asked(db: Database, story: Story) -> Told:
    """The answers to what people ask about a story."""
    first, second = story.digest(1), story.digest(3)
    found = {
        "show": answers.show(db, second),
        "trace": answers.trace(db, second),
        "why": answers.why(db, first, second),
        "impact": answers.impact(db, f"{story.mark}/raw"),
        "report": report(db, second, kind="audit", format_="md", made_at="2026-03-03T00:00:00Z").text,
    }
    return {question: plain(answer) for question, answer in found.items()}


def derived(db: Database) -> dict[str, dict[str, list[Told]]]:
    """What the tables say: mark -> table -> rows."""
    found: dict[str, dict[str, list[Told]]] = defaultdict(lambda: {name: [] for name in DERIVED})
    for table in DERIVED:
        for row in answers.sql(db, f"SELECT * EXCLUDE (bucket) FROM {table}"):
            (mark,) = set(MARK.findall(json.dumps(row)))
            found[mark][table].append({column: plain({column: value}) for column, value in row.items()})
    return found


def differing(table: str, rows: list[Told], others: list[Told]) -> str:
    """The table, and of as many rows which columns say something else; nothing if all agree."""
    columns = [
        column
        for column in (rows or others or [{}])[0]
        if sorted(row[column] for row in rows) != sorted(row[column] for row in others)
    ]
    if len(rows) != len(others):
        return f"`{table}`"
    return f"`{table}` ({', '.join(columns)})" if columns else ""


def kept(db: Database, stories: list[Story]) -> set[str]:
    """The marks of the stories that the log accepts and holds byte for byte, and `facets` as they came.

    And of whose run `show` tells the facet.
    """
    log = db.log
    entries = [entry for part in log.partitions() for each in log.segments(part) for entry in log.read(each)]
    events = {entry.value for entry in entries if entry.verdict == "accepted"}
    facets = {row["value"] for row in answers.sql(db, "SELECT value FROM facets")}
    found = set()
    for story in stories:
        last = story.events[-1]
        sent = [each[story.key] for each in facet_maps(last, story.entity)]
        shown = [facet["value"] for facet in answers.show(db, last["run"]["runId"])["facets"]]
        if (
            events.issuperset(map(encoded, story.events))
            and facets.issuperset(map(json.dumps, sent))
            and all(facet in shown for facet in sent)
        ):
            found.add(story.mark)
    return found


def encoded(event: Event) -> bytes:
    """As it is sent."""
    return json.dumps(event).encode()


def judged(story: Story) -> str:
    """Whether each field that is wrong is warned about; else which is not."""
    unseen = [name for name in story.fields() if judge(encoded(story.broken(name))).verdict != "warned"]
    return f"but for {listed(unseen)}" if unseen else "yes"


def relayed(story: Story) -> str:
    """What the guard before Marquez does to the facet's events."""
    if problems(story.events[-1]):
        return "refused"
    found = {name: problems(story.broken(name)) for name in story.fields()}
    held = [name for name, each in found.items() if not all(problem.repairable for problem in each)]
    repaired = [name for name, each in found.items() if each and name not in held]
    if held:
        return f"as it is; the event is held back where {listed(held)} is wrong"
    return f"as it is; left out where {listed(repaired)} is wrong" if repaired else "as it is"


def listed(names: list[str]) -> str:
    """For a cell."""
    return ", ".join(f"`{name}`" for name in names)


def rows() -> Iterator[str]:
    """The rows of the page."""
    examples = [(entity, key, Serde.to_json(instance(class_of(name)))) for entity, key, name in SPECIFIED]
    unknown = json.dumps(BASE | {"said": "text"})
    nobody_knows = [
        (entity, "custom_unknown", unknown) for entity in dict.fromkeys(one[0] for one in examples)
    ]
    stories = [Story(number, *example) for number, example in enumerate(nobody_knows + examples)]
    with tempfile.TemporaryDirectory() as folder:
        sent = Path(folder, "events.ndjson")
        sent.write_bytes(b"".join(encoded(event) + b"\n" for story in stories for event in story.events))
        log = open_log(Path(folder, "log"))
        seal_files(log, [str(sent)])
        compact(log)
        with modeltrail_collector.open(log.uri) as db:
            whole = kept(db, stories)
            tables = derived(db)
            told = {story.mark: asked(db, story) for story in stories}
    compared = {story.entity: story.mark for story in stories[: len(nobody_knows)]}
    for story in stories[len(nobody_knows) :]:
        mine, other = story.mark, compared[story.entity]
        changed = [differing(table, tables[mine][table], tables[other][table]) for table in DERIVED]
        shown = [question for question, answer in told[mine].items() if answer != told[other][question]]
        cells = [story.entity.replace("_", " "), f"`{story.key}`", "yes" if mine in whole else "no"]
        cells += [judged(story), ", ".join(filter(None, changed)), listed(shown), relayed(story)]
        yield f"| {' | '.join(cells)} |"


def main() -> int:
    """Write or check; 1 where a check finds a row that is not so. A newer client may have more facets."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, table = page.partition(HEADING)
    found = list(rows())
    if "--check" in sys.argv[1:]:
        wrong = [row for row in table.splitlines()[1:] if row not in found]
        for row in wrong:
            print(f"{PAGE.name}: this is not so: {row}", file=sys.stderr)
        return int(bool(wrong) or not table)
    PAGE.write_text("\n".join([before + HEADING + "|---" * 7 + "|", *found, ""]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
