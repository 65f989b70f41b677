"""What is answered is what happened: random companies that know what they did.

`WORLDS=500 SEED=7 python -m pytest -m slow tests/collector/answers/test_truth.py` runs the long form.
"""

import os
import random
import shutil
from datetime import UTC, datetime

import pytest
from company import Company

import modeltrail_collector
from modeltrail_collector import answers
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.model import LOCAL
from modeltrail_collector.tables import compact

FEW, MANY = 2, int(os.environ.get("WORLDS", "30"))
SEED = int(os.environ.get("SEED", "1"))
STEPS = 40
LAST = datetime.max.replace(tzinfo=UTC)
IN_FORCE = ("endpoint", "environment", "model_namespace", "model_name", "model_version", "deployment")


def told(company: Company, chance: random.Random, make, uri):
    """A log that the events reach late, twice and out of order, compacted on the way; its entries."""
    events = list(company.events)
    for _ in range(len(events) // 5):
        events.insert(chance.randrange(len(events)), events.pop(chance.randrange(len(events))))
    events += chance.sample(events, 3)
    entries = make.entries(events)
    log = open_log(str(uri))
    for start in range(0, len(entries), 30):
        some = entries[start : start + 30]
        log.append(LOCAL, Batch(start, start + len(some), some))
        compact(log)
    return log, entries


def steps_of(tree):
    """The way back as the company knows it, without what is only possible."""
    inputs, waiting = {}, [tree]
    while waiting:
        node = waiting.pop()
        waiting += node["inputs"]
        if not node["repeated"]:
            inputs[which(node)] = node["inputs"]
    found, waiting, seen = set(), [which(tree)], set()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            sure = [(which(child)[0], part) for child in inputs[one] for part in parts_of(child)]
            waiting += [part for _, part in sure]
            found |= {(one[1], name, run) for name, (_, run) in sure}
    return found


def parts_of(node):
    """What runs wrote of what was read: of a folder each part."""
    parts = node["inputs"] if node["run"] is None and node["inputs"] else [node]
    return [] if node["possible"] else [which(part) for part in parts]


def which(node):
    return (node["namespace"], node["name"]), node["run"] and node["run"]["run_id"]


def check_ways_back(company: Company, db) -> None:
    for model in company.models:
        asked = [f"{model.place[1]}@{model.digest[:12]}"]
        asked += [f"{namespace}/{name}@{version}" for namespace, name, version in model.registered]
        for text in asked:
            assert steps_of(answers.trace(db, text)) == company.steps_behind(model), text


def versions_of(content):
    return content.registered or {(*content.place, content.digest[:12])}


def check_ways_on(company: Company, db) -> None:
    others = {run.id for run in company.runs if run.job in {"deploy", "register", "registry"}}
    for content in [one for lay in company.lay.values() for _, one in lay if one.is_told]:
        try:
            rows = answers.impact(db, fingerprint=content.digest)
        except NotFound:
            assert content.run is None, content  # what was delivered, and not read
            continue
        runs, came = company.learned_from(content)
        found = {kind: [row for row in rows if row["kind"] == kind] for kind in ("run", "dataset", "model")}
        sure = {kind: [row for row in some if not row.get("possible")] for kind, some in found.items()}
        reached = {row["run_id"] for row in found["run"]} - others
        assert reached >= {run.id for run in runs}, content
        if sure == found:
            assert reached == {run.id for run in runs}, content
        data = {(row["namespace"], row["name"], row["run_id"]) for row in sure["dataset"]}
        assert data == {(*one.called, one.run.id) for one in came if not one.is_model}, content
        models = {(row["namespace"], row["name"], row["version"]) for row in sure["model"]}
        assert models == set().union(*(versions_of(one) for one in came if one.is_model)), content
        served = {row["run_id"] for row in rows if row["kind"] == "endpoint" and row["since"] != row["until"]}
        ours = [one for one in company.deployments if one.content in came and one.run.state == "COMPLETE"]
        assert served <= {one.run.id for one in ours}, content
        there = {(row["endpoint"], row["environment"], row["version"]) for row in rows if is_served(row)}
        runs = {one.run.id for one in ours}
        assert there == {
            (endpoint, environment, version)
            for endpoint, environment, *_, version, run in company.in_force(LAST, company.deployments)
            if run in runs
        }, content


def is_served(row) -> bool:
    return row["kind"] == "endpoint" and row["until"] is None


def check_facts(company: Company, db) -> None:
    for model in company.models:
        shown = answers.show(db, f"{model.place[1]}@{model.digest[:12]}")
        assert str(model.run.told["C"]) == shown["params"][0]["value"]
        assert [model.run.told["loss"]] == [row["value"] for row in shown["metrics"]]
        judged = {run.told["auc"] for run in company.runs if run.told.get("judged") is model}
        assert judged == {row["value"] for row in shown["evaluations"] or ()}
        assert {read.called for read in model.run.reads} == {
            (row["namespace"], row["name"]) for row in shown["data"]
        }


def check_lists(company: Company, db) -> None:
    made = {version: one.run.id for one in company.models for version in versions_of(one)}
    rows = {(row["namespace"], row["name"], row["version"]): row for row in answers.models(db)}
    assert made == {version: row["run_id"] for version, row in rows.items()}
    assert company.deleted == {version for version, row in rows.items() if row["deleted_at"]}
    assert set(company.aliases.values()) == {version for version, row in rows.items() if row["aliases"]}
    states = {run.id: run.state for run in company.runs}
    assert states == {row["run_id"]: row["state"] for row in answers.runs(db)}


def check_moments(company: Company, chance: random.Random, log, entries) -> None:
    arrived = {(entry.run_id, entry.event_type): entry.ingested_at_ms for entry in reversed(entries)}
    for _ in range(3):
        at = company.make.base + (company.now - company.make.base) * chance.random() * 1.1
        known = chance.choice([None, chance.choice(entries).ingested_at_ms])
        known_at = known and datetime.fromtimestamp(known / 1000, UTC)
        deployments = [
            one for one in company.deployments if known is None or arrived[one.run.id, one.run.state] <= known
        ]
        with modeltrail_collector.open(log.uri, as_of=at, known_at=known_at) as db:
            found = {tuple(row[name] for name in IN_FORCE) for row in answers.as_of(db)}
        assert company.in_force(at, deployments) == found, at


def check_forbidden(company: Company, db, tmp_path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nname = "r"\nkind = "forbidden"\ndataset = "crm.csv"\nversions = "all"\n')
    forbidden = {
        (f"{name.rpartition('/')[2] if namespace != 'file' else name}@{version}", one.run.id)
        for one in company.models
        for namespace, name, version in versions_of(one)
        if any(read == ("ftp", "crm.csv") for _, read, _ in company.steps_behind(one))
    }
    assert forbidden == {(one.subject, one.run_id) for one in answers.alert(db, answers.read_rules(path))}


def all_is_true(seed: int, tmp_path, make) -> None:
    company, chance = Company(seed, make, STEPS), random.Random(seed)
    log, entries = told(company, chance, make, tmp_path / f"log-{seed}")
    with modeltrail_collector.open(log.uri) as db:
        check_ways_back(company, db)
        check_ways_on(company, db)
        check_facts(company, db)
        check_lists(company, db)
        check_forbidden(company, db, tmp_path)
    check_moments(company, chance, log, entries)
    shutil.rmtree(log.uri)


@pytest.mark.parametrize("seed", range(SEED, SEED + FEW))
def test_what_is_answered_is_what_happened(seed, tmp_path, make) -> None:
    """Traces, impact, facts, lists, alerts and the past of a random company are what it did."""
    all_is_true(seed, tmp_path, make)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_of_many_companies(tmp_path, make) -> None:
    """The same of many more random companies."""
    for seed in range(SEED + FEW, SEED + FEW + MANY):
        all_is_true(seed, tmp_path, make)
