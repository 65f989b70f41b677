"""Names and files of strangers: none leaves the log, none reaches the terminal, none becomes SQL."""

import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modeltrail_collector import answers
from modeltrail_collector.errors import ConfigError, NotVerified, Unavailable
from modeltrail_collector.intake import files
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.log import segment as segments
from modeltrail_collector.model import LOCAL, LogPartition
from modeltrail_collector.pump import Pump, seal_files, seal_inbox
from modeltrail_collector.tables import compact

COMMAND = [sys.executable, "-W", "ignore", "-c", "from modeltrail.cli import main; main()"]
EVIL = [
    "../../../etc/passwd",
    "..",
    "/etc/passwd",
    "a\0b",
    "x' OR '1'='1",
    "'; DROP TABLE runs; --",
    "\\'; DELETE FROM flat; --",
    '"; SELECT 1; "',
    "$run",
    "{} %s {0}",
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "\x9b31m\u202egpj.exe\u2066",
    "[bold red]markup[/] [link=file:///etc]x[/link]",
    "tab\there\r\nnext\u2028line\x0bdown",
    "é" * 5000,
    "n" * 70_000,
]
ACTING = "".join(map(chr, [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E, 0x2066, 0x2028]))


def event(name: str, number: int) -> dict:
    base = {"_producer": "https://a.example/b", "_schemaURL": "https://a.example/c"}
    version = {"version": {**base, "datasetVersion": name}}
    model = {"modelTrail_model": {**base, "algorithm": name, "framework": name}}
    artifact = {"modelTrail_modelArtifact": {**base, "uri": name, "digest": f"{number:064x}"}}
    return {
        "eventType": "COMPLETE",
        "eventTime": f"2026-01-01T00:00:{number:02}Z",
        "producer": "https://a.example/b",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {
            "runId": name,
            "facets": {
                "modelTrail_hyperparameters": {**base, "parameters": [{"name": name, "value": name}]},
                "modelTrail_metrics": {**base, "metrics": [{"name": name, "value": 1.0}]},
                "errorMessage": {**base, "message": name, "programmingLanguage": "x"},
                name: {**base, name: name},
            },
        },
        "job": {"namespace": name, "name": name},
        "inputs": [{"namespace": name, "name": name, "facets": version}],
        "outputs": [
            {
                "namespace": name,
                "name": f"models/{name}",
                "facets": {**version, **model},
                "outputFacets": artifact,
            }
        ],
    }


@pytest.fixture(scope="module")
def evil_log(tmp_path_factory) -> Path:
    """A log whose runs, jobs, datasets, models and facets all have such names; sealed and compacted twice."""
    root = tmp_path_factory.mktemp("evil")
    log = open_log(root / "lineage")
    for turn in ("first", "second"):  # the second touches the runs of the first: rows are replaced by name
        source = root / f"{turn}.ndjson"
        lines = [json.dumps(event(name, number) | {"x": turn}) for number, name in enumerate(EVIL)]
        source.write_text(
            "".join(f"{line}\n" for line in [*lines, '{"eventType": "\\u001b[2J"}', "no\x1b[2J"])
        )
        seal_files(log, [str(source)])
        compact(log)
    return root / "lineage"


def command(log: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments, "--log", str(log)], capture_output=True, text=True, timeout=120, check=False
    )


def test_names_are_data_in_every_table(evil_log):
    """Whatever runs, jobs and datasets are called, each is one row, by its name and nobody else's."""
    log = open_log(evil_log)
    rows = answers.runs(log)
    assert sorted(EVIL) == sorted(row["run_id"] for row in rows)
    assert sorted(EVIL) == sorted(row["job_name"] for row in rows)
    for name in EVIL:
        assert [name] == [row["run_id"] for row in answers.runs(log, job=name) if row["job_name"] == name]
    assert 2 * len(EVIL) == answers.sql(log, "SELECT count(*) AS n FROM events")[0]["n"]


def test_nothing_is_written_beside_the_log(evil_log):
    """Names with `..` and `/` are in no path: all files lie below the log, by names of ours."""
    beside = {path.name for path in evil_log.parent.iterdir()}
    assert {"lineage", "first.ndjson", "second.ndjson"} == beside
    assert {"raw", "tables"} == {path.name for path in evil_log.iterdir() if not path.name.startswith(".")}
    told = {part for path in evil_log.rglob("*") for part in path.relative_to(evil_log).parts}
    assert not [part for part in told if any(name in part for name in EVIL if len(name) > 4)]


@pytest.mark.parametrize(
    "arguments",
    [("rejected", "list"), ("sql", "SELECT * FROM facets"), ("trace", EVIL[10]),
     ("trace", EVIL[10], "--format", "mermaid"), ("trace", EVIL[11], "--format", "dot"),
     ("show", f"models/{EVIL[10]}"), ("show", "\x1b[2Jno such model")],
)  # fmt: skip
def test_no_control_character_reaches_who_reads(evil_log, arguments):
    """What the commands print holds no escape sequence and no other control character, `--json` neither."""
    for form in ((), ("--json",)):
        done = command(evil_log, *arguments, *form)
        assert done.returncode in {0, 1, 2}, done.stderr
        assert "bug in modeltrail" not in done.stderr
        assert not [sign for sign in done.stdout + done.stderr if sign in ACTING and sign != "\t"]
        if form and not done.returncode:
            json.loads(done.stdout)


def test_lines_for_a_pipe_have_one_row_each(evil_log):
    """Names with tabs and line ends neither split nor join the rows of tab-separated output."""
    lines = command(evil_log, "runs").stdout.splitlines()
    assert 1 + len(EVIL) == len(lines)
    assert {6} == {line.count("\t") for line in lines}


def test_a_terminal_gets_no_markup_and_no_escapes_of_a_name(evil_log):
    """On a terminal `[bold red]` stays text, and only our own styles are sent."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "400", "TERM": "xterm"}
    process = subprocess.Popen(
        [*COMMAND, "runs", "--log", str(evil_log)], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    printed = b""
    try:
        while block := os.read(ours, 1 << 16):
            printed += block
    except OSError:
        pass  # the terminal ends with its program
    os.close(ours)
    assert 0 == process.wait(60)
    assert b"[bold red]markup" in printed
    assert b"\x1b]0;" not in printed
    assert b"\x1b[2J" not in printed
    assert b"\\u001b" in printed


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0b", "n" * 250])
def test_no_topic_leads_out_of_the_log(tmp_path, name):
    """A topic or topic id that is no plain file name is refused before anything is written."""
    for partition in ((name, "id", 0), ("topic", name, 0)):
        with pytest.raises(ConfigError, match="cannot be the name or id of a topic"):
            LogPartition(*partition)


def test_a_segment_that_names_another_place_is_not_read(tmp_path):
    """A header that says `..` is no header of ours."""
    batch = Batch(0, 1, ())
    _, data = segments.encode(LogPartition("xx", "id", 0), batch, "0" * 64)
    data = data.replace(b"\x04xx", b"\x04..")
    with pytest.raises(NotVerified):
        segments.read_header("raw/../id/0/00000000000000000000.avro", data)


@pytest.mark.kafka
def test_a_topic_called_local_does_not_mix_with_the_inbox(kafka_bootstrap, tmp_path):
    """Records of a Kafka topic `local` and of files lie in two chains, and are told apart in the tables."""
    from kafka import KafkaAdminClient, KafkaProducer
    from kafka.admin import NewTopic

    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    admin.create_topics([NewTopic("local", 1, 1)], wait_for_metadata=True)
    try:
        producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
        producer.send("local", json.dumps(event("from kafka", 1)).encode()).get(30)
        producer.close()
        log = open_log(tmp_path / "lineage")
        (tmp_path / "e.ndjson").write_text(json.dumps(event("from a file", 2)) + "\n")
        seal_files(log, [str(tmp_path / "e.ndjson")])
        source = KafkaSource(Connection(kafka_bootstrap, "local", "g"), (0, 1))
        pump = Pump(source, log, until_end=True)
        while not pump.done:
            pump.turn()
        source.close()
        compact(log)
        assert 2 == len(log.partitions())
        assert 1 == log.end(LOCAL)
        assert {"from kafka", "from a file"} == {row["run_id"] for row in answers.runs(log)}
    finally:
        admin.delete_topics(["local"])
        admin.close()


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a secret": lambda path: path.symlink_to("/etc/hostname"),
    "a folder": lambda path: path.mkdir(),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", FOREIGN)
def test_the_inbox_takes_only_files(tmp_path, caplog, kind):
    """A pipe, a device, a link or a folder in the inbox is told and left, the files beside it are sealed."""
    log = open_log(tmp_path / "lineage")
    log.inbox.mkdir(parents=True)
    FOREIGN[kind](log.inbox / "a.ndjson")
    (log.inbox / "b.ndjson").write_text(json.dumps(event("good", 1)) + "\n")
    assert 1 == seal_inbox(log)
    assert "a.ndjson is no regular file" in caplog.text
    assert (log.inbox / "a.ndjson").is_symlink() or (log.inbox / "a.ndjson").exists()


@pytest.mark.timeout(60)
def test_from_files_reads_no_pipe_and_no_device(tmp_path):
    """`--from-files` of a pipe or a device ends with an error at once."""
    os.mkfifo(tmp_path / "pipe.ndjson")
    log = open_log(tmp_path / "lineage")
    for pattern in (str(tmp_path / "*.ndjson"), "/dev/zero"):
        with pytest.raises(ConfigError, match="no file matches"):
            seal_files(log, [pattern])
    with pytest.raises(Unavailable, match="no regular file"):
        list(files.unsealed(tmp_path / "pipe.ndjson", "pipe.ndjson", {}))


def test_a_line_without_end_is_not_held_in_memory(tmp_path, monkeypatch, caplog):
    """A line over the limit is told and left where it is with what follows; what came before is sealed."""
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 10_000)
    path = tmp_path / "long.ndjson"
    path.write_text(json.dumps(event("good", 1)) + "\n" + "x" * 20_000 + "\n" + "{}\n")
    log = open_log(tmp_path / "lineage")
    assert 1 == seal_files(log, [str(path)]).records
    assert "line 2 has more than 10000 bytes" in caplog.text
    assert 0 == seal_files(log, [str(path)]).records
    whole = tmp_path / "long.json"
    whole.write_text("{" + "x" * 20_000)
    assert 0 == seal_files(log, [str(whole)]).records


def test_a_file_of_any_name_is_sealed(tmp_path, caplog):
    """Names with line ends, escapes or bytes that are no UTF-8 are kept as text, and sealing goes on."""
    caplog.set_level(logging.WARNING)
    log = open_log(tmp_path / "lineage")
    log.inbox.mkdir(parents=True)
    names = [b"a\nb.ndjson", b"\x1b[2J.ndjson", b"\xff\xfe.ndjson", b"-rf.ndjson"]
    for name in names:
        Path(os.fsdecode(os.fsencode(log.inbox) + b"/" + name)).write_text(
            json.dumps(event("good", 1)) + "\n"
        )
    assert len(names) == seal_inbox(log)
    assert 0 == seal_inbox(log)
    assert [] == list(log.inbox.iterdir())
    sources = {entry.source for s in log.segments(LOCAL) for entry in log.read(s)}
    assert {"inbox/\\xff\\xfe.ndjson:1", "inbox/a\nb.ndjson:1"} < sources
