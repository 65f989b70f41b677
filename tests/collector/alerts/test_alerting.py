"""Alerting turn by turn: told once in the log, at least once elsewhere, and told again when it comes back."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest

from modeltrail_collector import answers
from modeltrail_collector.alerts import watch as alerting_watch
from modeltrail_collector.alerts.notices import payload
from modeltrail_collector.alerts.watch import Alerting
from modeltrail_collector.alerts.webhook import wait_ms
from modeltrail_collector.answers.firing import NAMESPACE
from modeltrail_collector.answers.rules import read_rules
from modeltrail_collector.errors import Unavailable
from modeltrail_collector.failpoints import STEPS
from modeltrail_collector.judge import judge
from modeltrail_collector.log import open_log
from modeltrail_collector.tables import compact, rebuild

DAY = timedelta(days=1)
MODELTRAIL = Path(sys.executable).with_name("modeltrail")


@pytest.fixture
def turn(world):
    """One turn of a new process: what stdout got, as (status, subject)."""

    def turn(alerting=None):
        printed = []
        alerting = alerting or Alerting(world.log, read_rules(world.rules), printed.append)
        if alerting.turn():
            compact(world.log)
        return [(notice.status, notice.finding.subject) for notice in printed]

    return turn


def test_what_begins_and_ends_is_told_once(world, turn, better) -> None:
    """A finding is told when it begins and when it ends, in the log and on stdout, and not in between."""
    assert [("firing", "churn@2")] == turn()
    assert [] == turn() == turn()
    world.add(*better)
    assert [("resolved", "churn@2")] == turn()
    assert [] == turn()
    assert [("fail", "churn@2"), ("pass", "churn@2")] == world.statuses()


def test_the_event_is_an_ordinary_one(world, turn, make) -> None:
    """It is a COMPLETE run of a namespace of its own, with the standard facet `test`, and accepted."""
    turn()
    (event,) = world.told()
    assert ("COMPLETE", NAMESPACE, "floor") == (
        event["eventType"],
        event["job"]["namespace"],
        event["job"]["name"],
    )
    (test,) = event["run"]["facets"]["test"]["tests"]
    assert ("floor", "fail", "error", "metric", "at least 0.825", "0.82") == tuple(
        test[name] for name in ("name", "status", "severity", "type", "expected", "actual")
    )
    assert make.uuid7(make.base + DAY, 202) == test["params"]["runId"]
    found = judge(json.dumps(event).encode())
    assert ("accepted", ()) == (found.verdict, found.reasons)
    (run,) = [run for run in answers.runs(world.log) if run["job_namespace"] == NAMESPACE]
    assert (event["run"]["runId"], "COMPLETE") == (run["run_id"], run["state"])


def test_what_comes_back_is_told_again(world, turn, better, make) -> None:
    """A finding that ended and fires again has another id: a rollback is news."""
    world.rules.write_text(world.rules.read_text() + 'versions = "deployed"\n')
    assert [("firing", "churn@2")] == turn()
    third, again = (deployed(make, days, version) for days, version in ((5, "3"), (6, "2")))
    world.add(*better, third)
    assert [("resolved", "churn@2")] == turn()
    world.add(again)
    assert [("firing", "churn@2")] == turn()
    assert 3 == len({event["run"]["runId"] for event in world.told()})


def deployed(make, days, version):
    at = make.base + days * DAY
    event = make.story()[7]
    event = json.loads(json.dumps(event).replace(event["run"]["runId"], make.uuid7(at, 300)))
    said = event["run"]["facets"]["modelTrail_deployment"]
    said["model"]["version"], said["effectiveAt"], event["eventTime"] = (
        version,
        at.isoformat(),
        at.isoformat(),
    )
    return event


def test_a_lost_state_tells_nothing_twice_in_the_log(world, turn, hook) -> None:
    """Without its file what fires is told again with the same id, which the log already holds."""
    world.rules.write_text(world.rules.read_text() + hook.rule)
    turn()
    (Path(world.log.uri) / "alerts" / "state.json").unlink()
    assert [("firing", "churn@2")] == turn()
    rebuild(world.log)
    assert [] == turn()
    assert [("fail", "churn@2")] == world.statuses()
    assert 1 == len({key for key, _ in hook.got})


def test_a_damaged_state_says_what_to_do(world, turn) -> None:
    """A state that is not what was written stops alerting with its name and the remedy."""
    turn()
    state = Path(world.log.uri) / "alerts" / "state.json"
    state.write_text("{")
    with pytest.raises(Unavailable, match=r"alerts/state\.json is not what was written .* remove it"):
        turn()


def test_a_webhook_gets_the_finding(world, turn, hook, monkeypatch) -> None:
    """It gets one JSON object with rule, sentence and evidence, the file's headers, and the id as key."""
    monkeypatch.setenv("ALERT_TOKEN", "s3cr3t")
    header = 'headers = { Authorization = "Bearer ${ALERT_TOKEN}" }\n'
    world.rules.write_text(world.rules.read_text() + hook.rule + header)
    turn()
    ((key, body),) = hook.got
    assert (key, "firing", "floor", "error") == (body["id"], body["status"], body["rule"], body["severity"])
    assert body["message"].startswith("churn@2: accuracy ")
    assert {"topic": "local", "topic_id": "local", "partition": 0, "offset": 5} == body["source"]
    assert "Bearer s3cr3t" == hook.headers[0]["Authorization"]
    assert "s3cr3t" not in json.dumps(world.told())
    assert key == world.told()[0]["run"]["runId"]


@pytest.fixture
def no_wait(monkeypatch):
    """A webhook that failed is asked again at the next turn."""
    monkeypatch.setattr(alerting_watch, "wait_ms", lambda failures: 0)


@pytest.mark.usefixtures("no_wait")
def test_a_dead_webhook_keeps_its_notices(world, turn, hook, better) -> None:
    """What a webhook does not take waits, over restarts, in order; the others get theirs meanwhile."""
    world.rules.write_text(world.rules.read_text() + hook.rule)
    hook.stop()
    printed = []
    alerting = Alerting(world.log, read_rules(world.rules), printed.append)
    turn(alerting)
    assert 1 == len(printed)
    assert ({"ops": 1}, {"ops": 1}) == (alerting.status.waiting, dict(alerting.status.failures))
    assert [("fail", "churn@2")] == world.statuses()
    world.add(*better)
    turn()
    hook.start()
    turn()
    assert [("firing", "churn@2"), ("resolved", "churn@2")] == hook.told
    turn()
    assert 2 == len(hook.got)


def test_a_webhook_that_fails_is_left_alone_for_a_while(world, turn, hook) -> None:
    """After a failure it is asked again later, after longer and longer, five minutes at most."""
    world.rules.write_text(world.rules.read_text() + hook.rule)
    hook.always = 503
    for _ in range(3):
        turn()
    assert 1 <= hook.refused <= 3
    state = json.loads((Path(world.log.uri) / "alerts" / "state.json").read_bytes())
    assert hook.refused == state["targets"]["ops"]["failures"]
    assert [1000, 2000, 4000, 300_000, 300_000] == [wait_ms(n) for n in (1, 2, 3, 10, 10_000)]


@pytest.mark.usefixtures("no_wait")
@pytest.mark.parametrize(("code", "told"), [(400, 1), (302, 0), (429, 0), (500, 0)])
def test_one_notice_that_is_refused_does_not_hold_up_the_next(world, turn, hook, code, told) -> None:
    """After a 4xx the next notice is posted; where the webhook itself fails, or moved, the rest waits."""
    query = "SELECT 'a' AS subject UNION ALL SELECT 'b'"
    world.rules.write_text(f'[[rule]]\nname = "two"\nkind = "sql"\nquery = "{query}"\n{hook.rule}')
    hook.answers = [code]
    turn()
    assert told == len(hook.got)
    turn()
    assert {("firing", "a"), ("firing", "b")} == set(hook.told)
    assert 2 == len(hook.got)


def test_a_webhook_that_never_answers_is_given_up_in_time(world, turn) -> None:
    """A webhook that takes the connection and says nothing costs its timeout, and what it was sent waits."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        text = f'[[webhook]]\nname = "ops"\nurl = "http://127.0.0.1:{port}/"\ntimeout = "1s"\n'
        world.rules.write_text(world.rules.read_text() + text)
        alerting = Alerting(world.log, read_rules(world.rules), lambda _: None)
        turn(alerting)
        assert {"ops": 1} == alerting.status.waiting


def test_a_storm_is_one_notice(world, turn) -> None:
    """A rule that finds a thousand things tells one, and one more when it is over."""
    path = world.rules
    query = "SELECT n::TEXT AS subject FROM range(1000) AS t(n)"
    path.write_text(f'[[rule]]\nname = "many"\nkind = "sql"\nquery = "{query}"\n')
    assert [("firing", "many")] == turn()
    path.write_text(path.read_text().replace("1000", "2"))
    assert [("firing", "0"), ("firing", "1"), ("resolved", "many")] == turn()


def test_a_rule_that_fails_ends_nothing(world, turn) -> None:
    """A rule that cannot be asked is counted, its findings stay as they were, and the others are asked."""
    turn()
    bad = '[[rule]]\nname = "floor"\nkind = "sql"\nquery = "SELECT error(\'no\') AS subject"\n'
    world.rules.write_text(
        bad + '[[rule]]\nname = "other"\nkind = "sql"\nquery = "SELECT \'x\' AS subject"\n'
    )
    printed = []
    alerting = Alerting(world.log, read_rules(world.rules), printed.append)
    turn(alerting)
    assert ["x"] == [notice.finding.subject for notice in printed]
    assert {"floor": 1} == dict(alerting.status.rule_failures)
    assert {"floor": 1, "other": 1} == alerting.status.firing


def test_alerting_never_feeds_itself(world, turn) -> None:
    """Rules over everything that is said fire on the story only, however many turns there are."""
    query = "SELECT run_id AS subject FROM runs WHERE state = 'COMPLETE'"
    world.rules.write_text(f'[[rule]]\nname = "all"\nkind = "sql"\nquery = "{query}"\n')
    first = turn()
    assert 4 == len(first)
    for _ in range(3):
        assert [] == turn()
    assert 4 == len(world.told())


def test_two_that_watch_tell_once(world, hook) -> None:
    """Two processes with the same rules take turns: the log and the webhook get each notice once."""
    world.rules.write_text(world.rules.read_text() + hook.rule)
    both = [Alerting(open_log(world.log.uri), read_rules(world.rules), lambda _: None) for _ in range(2)]
    threads = [threading.Thread(target=one.turn) for one in both]
    for one in threads:
        one.start()
    for one in threads:
        one.join(120)
    assert [("fail", "churn@2")] == world.statuses()
    assert 1 == len(hook.got)


ALERT_STEPS = [step for step in STEPS if step.startswith("alert")]


def call(world, **environment):
    command = [MODELTRAIL, "compact", "--json", "--log", world.log.uri, "--alerts", world.rules]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=240, env=os.environ | environment
    )


def printed(done) -> list[str]:
    lines = done.stdout.replace("}\n{", "}\x00{").split("\x00") if done.stdout else []
    return [told["id"] for line in lines if "id" in (told := json.loads(line))]


@pytest.mark.parametrize("step", ALERT_STEPS)
def test_killed_at_a_step_it_goes_on(world, hook, better, step) -> None:
    """After kill -9 the next process delivers what waits: once in the log, elsewhere with the same id."""
    world.rules.write_text(world.rules.read_text() + hook.rule)
    dead = call(world, MODELTRAIL_FAILPOINT=step)
    assert -signal.SIGKILL == dead.returncode, dead.stderr
    again = call(world)
    assert 0 == again.returncode, again.stderr
    assert [("fail", "churn@2")] == world.statuses()
    ids = {event["run"]["runId"] for event in world.told()}
    assert ids == {key for key, _ in hook.got} == {*printed(dead), *printed(again)}
    assert (2 if step == "alert_posted" else 1) == len(hook.got)
    assert [] == list(Path(world.log.uri).rglob(".*.tmp"))
    last = call(world)
    assert [] == printed(last)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("step", ["temporary_written", "segment_put"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_killed_while_it_writes(world, hook, step, count) -> None:
    """Killed while the state or the events are written, it ends as it would have: one event, one id."""
    world.rules.write_text(world.rules.read_text() + hook.rule)
    call(world, MODELTRAIL_FAILPOINT=f"{step}:{count}")
    again = call(world)
    assert 0 == again.returncode, again.stderr
    assert [("fail", "churn@2")] == world.statuses()
    assert 1 == len({key for key, _ in hook.got})


def ask(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def wait_for(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_watching_compactor_alerts(world, hook, better) -> None:
    """`compact --watch --alerts` prints a line, posts, shows metrics of a dead webhook, and resolves."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world.rules.write_text(world.rules.read_text() + hook.rule)
    hook.always = 503
    command = [MODELTRAIL, "compact", "--watch", "--interval", "0.1", "--log", world.log.uri]
    command += ["--alerts", world.rules, "--metrics", str(port)]
    url = f"http://127.0.0.1:{port}/metrics"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        assert re.match(
            r"firing  error  floor  churn@2: accuracy .*: 0\.82, expected at least 0\.825\n", line
        )
        wait_for(lambda: 'modeltrail_alerts_waiting{webhook="ops"} 1.0' in ask(url))
        text = ask(url)
        assert 'modeltrail_alerts_firing{rule="floor"} 1.0' in text
        assert 'modeltrail_alerts_delivery_failures_total{webhook="ops"}' in text
        assert 'modeltrail_alerts_delivered_total{target="log"} 1.0' in text
        hook.always = None
        wait_for(lambda: hook.told)
        world.add(*better)
        wait_for(lambda: 2 == len(hook.got))
        wait_for(lambda: 'modeltrail_alerts_firing{rule="floor"} 0.0' in ask(url))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert 0 == process.returncode
    assert [("firing", "churn@2"), ("resolved", "churn@2")] == hook.told


def test_wrong_rules_end_it_at_once(world) -> None:
    """A rules file that is wrong is exit code 2 before anything is compacted or told."""
    world.rules.write_text('[[rule]]\nname = "x"\nkind = "sql"\nquery = "SELECT nothing FROM runs"\n')
    done = call(world)
    assert 2 == done.returncode
    assert "rule 'x' cannot be asked" in done.stderr
    assert not (Path(world.log.uri) / "alerts").exists()


def test_a_payload_is_plain_json(world) -> None:
    """What webhooks and stdout get is one flat object of plain values."""
    notices = []
    Alerting(world.log, read_rules(world.rules), notices.append).turn()
    told = payload(notices[0])
    assert told == json.loads(json.dumps(told))
    assert {"id", "key", "status", "rule", "kind", "severity", "subject", "message", "since", "at"} < set(
        told
    )
