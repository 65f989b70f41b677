"""`modeltrail rejected`: list, show and replay, as an operator meets them."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli.rejected import rejected
from modeltrail_collector.errors import NotFound
from modeltrail_collector.judge.schema import JUDGE_VERSION
from modeltrail_collector.log import Batch, Log, open_log
from modeltrail_collector.model import LOCAL, Header, LogPartition, Reason, Record, Verdict
from modeltrail_collector.pump.builder import entry
from modeltrail_collector.tables import compact
from modeltrail_schemas.printable import printable

TOPIC = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", 2)
EVENT = {
    "eventType": "START",
    "eventTime": "2026-01-01T00:00:00Z",
    "producer": "nobody",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "0194c5a0-0000-7000-8000-000000000001"},
    "job": {"namespace": "a", "name": "b"},
}
WARNED = json.dumps(EVENT).encode()
FORMAT = Reason("format", "$.producer", 'must be a URI, found "nobody"')
EVIL = "\x1b]0;owned\x07\x9b31m\u202egnp.\u2066\x7f"
NEVER = "😀 ü"


def sealed(log: Log, partition: LogPartition, *records: tuple[bytes | None, int, tuple[Reason, ...]]) -> None:
    """Append rejected records: value, when they were ingested (ms), reasons."""
    entries = []
    for offset, (value, at, reasons) in enumerate(records):
        headers = (Header("x\x1b[2J", b"\x9b\xff"), Header("none", None))
        record = Record(partition.topic, 2, offset, None, 1 << 60, b"\x1bkey", headers, value)
        entries.append(entry(record, Verdict("rejected", reasons), at))
    log.append(partition, Batch(0, len(entries), entries, judge_id="judge/0"))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Three rejected records: one that only strict refuses, one hostile, one without value."""
    log = open_log(str(tmp_path / "log"))
    hours = [int((datetime.now(UTC) - timedelta(hours=n)).timestamp() * 1000) for n in (3, 2, 1)]
    evil = json.dumps({"a" + EVIL: [NEVER, EVIL]}, ensure_ascii=False).encode()
    hostile = (Reason("required", f"$['{EVIL}']", f"found {EVIL}"), Reason("type", "$.run", "no object"))
    sealed(
        log,
        TOPIC,
        (WARNED, hours[0], (FORMAT,)),
        (evil, hours[1], hostile),
        (None, hours[2], (Reason("null_value", "$", "the record has no value"),)),
    )
    compact(log)
    return log


def ask(log: Log, *arguments: str):
    found = CliRunner().invoke(rejected, [*arguments, "--log", log.uri], catch_exceptions=False)
    assert 0 == found.exit_code, found.output
    return found


def rows(log: Log, *arguments: str) -> list[dict]:
    return json.loads(ask(log, "list", "--json", *arguments).stdout)


@pytest.mark.parametrize(
    ("filters", "records"),
    [
        ((), ["events/2/2", "events/2/1", "events/2/1", "events/2/0"]),
        (("--limit", "1"), ["events/2/2"]),
        (("--code", "format"), ["events/2/0"]),
        (("--code", "format", "--code", "type"), ["events/2/1", "events/2/0"]),
        (("--topic", "events"), ["events/2/2", "events/2/1", "events/2/1", "events/2/0"]),
        (("--topic", "local"), []),
        (("--since", "90m"), ["events/2/2"]),
        (("--since", "2999-01-01"), []),
    ],
)
def test_lists_are_filtered(log: Log, filters: tuple[str, ...], records: list[str]) -> None:
    """Newest first, one row per reason, only what the options admit."""
    assert records == [row["record"] for row in rows(log, *filters)]


def test_a_summary_by_code(log: Log) -> None:
    """`--by-code` counts records, not reasons, and how many were replayed."""
    twice = (Reason("enum", "$.eventType", "no type"), Reason("enum", "$.job", "no job"))
    sealed(log, LogPartition("other", TOPIC.topic_id, 2), (b"{}", 0, twice))
    compact(log)
    found = {row["code"]: (row["records"], row["replayed"]) for row in rows(log, "--by-code")}
    assert dict.fromkeys(("enum", "format", "null_value", "required", "type"), (1, 0)) == found
    ask(log, "replay")
    assert (1, 1) == next(
        (row["records"], row["replayed"]) for row in rows(log, "--by-code", "--code", "format")
    )


def test_a_topic_made_anew_is_told_apart(log: Log) -> None:
    """Names of records hold the topic's id where one topic name stands for two chains."""
    anew = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000002", 2)
    sealed(log, anew, (b"x", 0, (FORMAT,)))
    compact(log)
    names = [row["record"] for row in rows(log, "--code", "format")]
    assert [f"events/{TOPIC.topic_id}/2/0", f"events/{anew.topic_id}/2/0"] == names
    for name in names:
        assert name == answers.rejected_record(log, name)["record"]


@pytest.mark.parametrize("arguments", [["list"], ["list", "--by-code"], ["list", "--json"]])
def test_strangers_cannot_steer_the_terminal(log: Log, arguments: list[str]) -> None:
    """Control and direction characters of hostile keys, paths and messages are written as escapes."""
    text = ask(log, *arguments).stdout
    assert all(line.replace("\t", "").isprintable() for line in text.splitlines())
    assert r"\u009b31m\u202e" in text


def test_show_tells_all_of_a_record(log: Log) -> None:
    """Where, when, key, headers, reasons, the judge's opinion of today, and the value in pretty JSON."""
    text = ask(log, "show", "events/2/1").stdout
    assert all(line.isprintable() for line in text.split("\n"))
    for told in (
        "record     events/2/1\n",
        f"topic id   {TOPIC.topic_id}\n",
        "produced   1152921504606846976 ms, which is no date\n",
        "key        \\u001bkey\n",
        "header     x\\u001b[2J = \\x9b\\xff\n",
        "header     none = null\n",
        "verdict    rejected by judge/0\n",
        "required at $['\\u001b]0;owned\\u0007\\u009b31m\\u202egnp.\\u2066\\u007f']",
        "type at $.run: no object\n",
        f"today      rejected by judge/{JUDGE_VERSION} openlineage/",
        "replayed   no\n",
    ):
        assert told in text
    key = "a\\u001b]0;owned\\u0007\\u009b31m\\u202egnp.\\u2066\\u007f"
    assert f'\n\n{{\n  "{key}": [\n    "{NEVER}",\n' in text


def test_show_as_json_and_raw(log: Log) -> None:
    """JSON holds all fields, bytes in base64; `--raw` is the value, byte for byte, and nothing else."""
    answer = json.loads(ask(log, "show", "events/2/0", "--json").stdout)
    assert ("warned", None, "judge/0", len(WARNED)) == (
        *(answer["today"]["verdict"], answer["replayed"]),
        *(answer["judge_id"], answer["size"]),
    )
    value = open_log(log.uri)
    raw = ask(log, "show", "events/2/1", "--raw")
    (segment,) = value.segments(TOPIC)
    assert [entry.value for entry in value.read(segment)][1] == raw.stdout_bytes
    assert b"" == ask(log, "show", "events/2/2", "--raw").stdout_bytes
    both = CliRunner().invoke(rejected, ["show", "events/2/0", "--raw", "--json", "--log", log.uri])
    assert 2 == both.exit_code


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    """Of a value of a megabyte the first 64 KiB are shown; `--raw` writes all of it, be it text or not."""
    log = open_log(str(tmp_path / "long"))
    value = b"\xff" + b"x" * 1_000_000
    sealed(log, TOPIC, (value, 0, (FORMAT,)))
    text = ask(log, "show", "events/2/0").stdout
    assert "\\xffxxx" in text
    assert "… and 934,468 characters more: --raw writes all of it" in text
    assert len(text) < 70_000
    assert value == ask(log, "show", "events/2/0", "--raw").stdout_bytes


def test_a_replayed_record_counts_once(log: Log) -> None:
    """After `compact` the copy is in `events`, once; list and show say when it was taken in and as what."""
    dry = ask(log, "replay", "--dry-run").stdout
    assert ["events/2/0", "warned", "format"] == dry.splitlines()[1].split("\t")[:3]
    assert (
        "Would replay 1 record (0 accepted, 1 warned)\nStill rejected: 2 (required 1, null_value 1)\n" in dry
    )
    assert {None} == {row["replayed"] for row in rows(log)}
    done = ask(log, "replay", "--code", "format")
    assert "Replayed 1 record (0 accepted, 1 warned)\n" == done.stdout
    assert "modeltrail compact" in done.stderr
    again = ask(log, "replay", "events/2/0", "--json")
    assert (0, 1) == (json.loads(again.stdout)["segments"], json.loads(again.stdout)["replayed_before"])
    compact(log)
    (event,) = answers.sql(log, 'SELECT topic, "offset", verdict, duplicate FROM events')
    assert {"topic": "local", "offset": 0, "verdict": "warned", "duplicate": False} == event
    assert [("events/2/0", True)] == [
        (row["record"], row["replayed"] is not None) for row in rows(log, "--code", "format")
    ]
    shown = answers.rejected_record(log, "events/2/0")["replayed"]
    (segment,) = log.segments(LOCAL)
    assert {"at": segment.sealed_at, "record": "local/0/0"} == shown
    with pytest.raises(NotFound, match="is not rejected: it was warned"):
        answers.rejected_record(log, "local/0/0")


@pytest.mark.parametrize("text", ["yesterday", "12", "12 hours", "2026-13-01", "99999999999w"])
def test_a_wrong_time_is_refused(log: Log, text: str) -> None:
    """`--since` that is no time ends with exit code 2 and what to write."""
    found = CliRunner().invoke(rejected, ["list", "--since", text, "--log", log.uri])
    assert (2, True) == (found.exit_code, "write 30m, 12h" in found.output)


def test_a_name_that_is_none_is_exit_code_2(log: Log) -> None:
    """The command line ends with the error's exit code and its sentence."""
    for name, code, said in (
        ("nonsense", 2, "TOPIC/PARTITION/OFFSET"),
        ("events/2/9", 1, "ends at offset 3"),
    ):
        command = "from modeltrail.cli import main; main()"
        arguments = ["rejected", "show", name, "--log", log.uri]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", command, *arguments], check=False, **QUIET
        )
        assert (code, True) == (done.returncode, said in done.stderr), done.stderr


QUIET = {"capture_output": True, "text": True, "timeout": 60}


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain ü 😀", "plain ü 😀"),
        ("\x1b[31m", r"\u001b[31m"),
        ("\x7f\x9b", r"\u007f\u009b"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\udb40\udc41"),
        ("\u2028", r"\u2028"),
    ],
)
def test_printable_text(text: str, printed: str) -> None:
    """Letters of all scripts stay; whatever steers, hides or is no character is a JSON escape."""
    assert printed == printable(text)
