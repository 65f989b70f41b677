"""The commands: stdout is the answer, stderr everything else."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli import answers as commands
from modeltrail_collector.cli import story
from modeltrail_collector.cli import tables as table_commands
from modeltrail_collector.cli.alert import alert
from modeltrail_collector.cli.rejected import rejected
from modeltrail_collector.cli.removals import removals
from modeltrail_collector.cli.repair import repair
from modeltrail_collector.cli.verify import verify
from modeltrail_collector.cli.why import why
from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.model import LOCAL


def ask(command, *arguments: str):
    """The result of a command that must succeed."""
    found = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert 0 == found.exit_code, found.output
    return found


@pytest.mark.parametrize(
    ("command", "arguments", "kind"),
    [
        (commands.models, [], list),
        (commands.runs, [], list),
        (commands.show, ["churn@3"], dict),
        (commands.trace, ["churn@3"], dict),
        (why, ["churn@3"], dict),
        (commands.sql, ["SELECT * FROM runs"], list),
        (rejected, ["list"], list),
    ],
)
def test_answers_as_json(churn, command, arguments, kind) -> None:
    """Every answer has a JSON form: an array where it is about many things."""
    found = ask(command, *arguments, "--json", "--log", churn.uri)
    assert isinstance(json.loads(found.stdout), kind)
    assert "" == found.stderr


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (commands.models, []),
        (verify, []),
        (rejected, ["list"]),
        (rejected, ["show", "local/0/1"]),
        (rejected, ["replay"]),
        (removals, []),
        (repair, ["--bootstrap-servers", "localhost:1"]),
        (table_commands.compact, []),
        (table_commands.rebuild, []),
    ],
)
def test_a_log_that_is_not_there_is_no_log_without_anything(tmp_path, command, arguments) -> None:
    """A mistyped log is said not to be there, and not that all is well in it; none is made."""
    found = CliRunner().invoke(command, [*arguments, "--log", str(tmp_path / "linaege")])
    assert "There is no log at" in str(found.exception)
    assert [] == list(tmp_path.iterdir())


def test_a_run_that_nobody_heard_start_began_before_it_was_heard_of(make, log_of) -> None:
    """Of a run without START, `runs` does not say that it started when it ended."""
    ended = make.run_event("COMPLETE", make.base, make.uuid7(make.base, 1), "late")
    rows = [line.split("\t") for line in ask(commands.runs, "--log", log_of([ended]).uri).stdout.splitlines()]
    assert f"before {make.base:%Y-%m-%d %H:%M:%S}" == dict(zip(*rows, strict=True))["started"]


def test_of_a_run_that_ended_before_it_began_no_duration_is_told(make, log_of) -> None:
    """A clock that was set back says nothing of how long a run took; an end at once is 0 ms."""
    run_id = make.uuid7(make.base, 1)
    for seconds, took in ((-5, None), (0, "0 ms"), (5, "5 s")):
        events = [
            make.run_event("START", make.base, run_id, "back"),
            make.run_event("COMPLETE", make.base + timedelta(seconds=seconds), run_id, "back"),
        ]
        found = ask(commands.runs, "--log", log_of(events).uri).stdout.splitlines()
        rows = [line.split("\t") for line in found]
        assert took == (dict(zip(*rows, strict=True)).get("took") or None)


def test_models_as_lines(churn) -> None:
    """In a pipe models are tab-separated lines with a header."""
    lines = [line.split("\t") for line in ask(commands.models, "--log", churn.uri).stdout.splitlines()]
    assert ["model", "version", "algorithm"] == lines[0][:3]
    assert ["churn", "3", "LogisticRegression"] == lines[1][:3]


@pytest.mark.parametrize("command", [commands.models, commands.runs])
def test_lists_end_where_one_wants(churn, command) -> None:
    """With `--limit` there are so many, the newest."""
    every = ask(command, "--log", churn.uri).stdout.splitlines()
    assert every[:3] == ask(command, "--limit", "2", "--log", churn.uri).stdout.splitlines()


def test_show_as_text(churn) -> None:
    """`show` tells section by section, and says of what nobody recorded that it is not recorded."""
    text = ask(commands.show, "churn@3", "--log", churn.uri).stdout
    assert text.startswith("churn@3\n")
    assert re.search(r"features\.parquet +train +4,000 rows +3 columns +\w{12} +observed local/0@11", text)
    assert "deployments  not recorded" in text
    assert re.search(r"scale +StandardScaler\(\) fitted on train → QuantileTransformer", text)
    assert "\x1b" not in text


def test_show_tells_how_it_was_trained(make, log_of) -> None:
    """Seeds that somebody set, passes, steps, the model that it began with; how rows were chosen."""
    training = make.facet(
        "modelTrail_training", framework="torch", frameworkVersion="2", algorithm="Net", capture="observed",
        seeds={"framework": 11, "numpy": None}, epochs=8, steps=304, deterministic=False,
        baseModel={"namespace": "file", "name": "/base.pt", "version": "2"},
    )  # fmt: skip
    use = make.facet("modelTrail_dataUse", role="train", capture="observed",
                     split={"strategy": "random", "fraction": 0.75, "seed": 7})  # fmt: skip
    made = make.dataset("m", datasetType=make.facet("t", datasetType="MODEL", subType="ML_MODEL"))
    facets = {"modelTrail_training": training}
    data = make.dataset("d", inputFacets__modelTrail_dataUse=use)
    log = log_of(
        [make.run_event("COMPLETE", make.base, "r", "j", run_facets=facets, inputs=[data], outputs=[made])]
    )
    text = ask(commands.show, "m", "--log", log.uri).stdout
    told = dict(
        re.findall(r"^  (seeds|deterministic|epochs|steps|based on) +(\S.*?)(?:  |$)", text, re.MULTILINE)
    )
    expected = {"seeds": "framework 11", "deterministic": "no", "epochs": "8", "steps": "304"}
    assert {**expected, "based on": "/base.pt@2"} == told
    assert "random 75 %, seed 7" in text


def test_a_log_that_is_not_there_is_an_error(tmp_path) -> None:
    """A mistyped --log is no empty log: who asks, compacts, alerts or verifies hears where it looked."""
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "a"\nkind = "stalled"\nafter = "1h"\n')
    asked = (
        (commands.models, []),
        (verify, []),
        (alert, ["--rules", str(rules)]),
        (table_commands.compact, []),
    )
    for command, given in asked:
        with pytest.raises(ConfigError, match=f"no log at .*{tmp_path.name}/typo.*--log"):
            ask(command, *given, "--log", str(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


def test_what_is_not_compacted_is_said_of_an_unknown_name(tmp_path) -> None:
    """A name that is not found may be in what the tables lack: that they lack something is said first."""
    log = open_log(tmp_path)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "w.ndjson").write_text("{}\n")
    told = CliRunner().invoke(commands.show, ["churn", "--log", log.uri])
    assert isinstance(told.exception, NotFound)
    assert "1 event in the inbox not compacted: modeltrail compact" in told.stderr


def test_show_one_section(churn) -> None:
    """`--section` tells nothing else, in text and in JSON."""
    text = ask(commands.show, "churn@2", "--section", "params", "--log", churn.uri).stdout
    assert "parameters\n" == text.splitlines(keepends=True)[0]
    assert "max_iter" in text
    assert "features" not in text
    told = json.loads(
        ask(commands.show, "churn@2", "--section", "params", "--json", "--log", churn.uri).stdout
    )
    assert ["params"] == list(told)


def test_trace_as_tree(churn, make) -> None:
    """`trace` is a tree: each thing above the run that wrote it, each run above what it read."""
    lines = ask(commands.trace, "churn@3", "--log", churn.uri).stdout.splitlines()
    assert lines[0].startswith("churn@3  models/churn · " + make.digest("model 3")[:12])
    assert lines[1].startswith("└─ train-churn  COMPLETE  2026-03-05 09:00:00 (5 min) · run ")
    assert lines[2].startswith("   ├─ /data/churn/features.parquet  train · 4,000 rows")
    assert lines[-1].endswith("no run in the log wrote it")


def test_trace_in_every_form(churn) -> None:
    """`--format` gives a diagram or JSON; a column is told beside its thing, and where its way ends why."""
    called = ("churn@3", "--log", churn.uri, "--format")
    assert ask(commands.trace, *called, "mermaid").stdout.startswith("flowchart TD\n    data_")
    assert ask(commands.trace, *called, "dot").stdout.startswith("digraph trace {\n")
    told = ask(commands.trace, *called, "json").stdout
    assert told == ask(commands.trace, *called, "tree", "--json").stdout
    text = ask(commands.trace, *called, "tree", "--column", "age").stdout
    assert re.search(r"features\.parquet · age  feature · train · 4,000 rows", text)
    assert text.endswith("└─ the run does not say from which columns\n")


def test_trace_of_an_endpoint(churn) -> None:
    """An endpoint stands above the run that deployed last and the versions that are in force."""
    lines = ask(commands.trace, "churn-api", "--log", churn.uri).stdout.splitlines()
    assert lines[0].startswith("endpoints/churn-api (k8s://prod)")
    assert re.match(r"   └─ churn@2  models/churn · since 2026-03-03 11:00:00 · \w{12}$", lines[2])


def test_a_wide_tree_says_what_it_leaves_out(make, log_of) -> None:
    """Of a run that reads 60 things a tree shows 50 and says how many more there are."""
    inputs = [make.dataset(f"d{n:02}") for n in range(60)]
    event = make.run_event("COMPLETE", make.base, "r", "j", inputs=inputs, outputs=[make.dataset("out")])
    lines = ask(commands.trace, "out", "--log", log_of([event]).uri).stdout.splitlines()
    assert (2 + 50 + 1, "   └─ … and 10 more") == (len(lines), lines[-1])


def test_files_below_here_have_short_names(churn, monkeypatch, tmp_path, make, log_of) -> None:
    """A file below the current directory goes by its path from there."""
    monkeypatch.chdir(tmp_path)
    data = [make.dataset(str(tmp_path / "raw" / "a.csv"))], [make.dataset(str(tmp_path / "b.csv"))]
    log = log_of([make.run_event("COMPLETE", make.base, "r", "j", inputs=data[0], outputs=data[1])])
    lines = ask(commands.trace, "b.csv", "--log", log.uri).stdout.splitlines()
    assert lines[0] == "b.csv"
    assert lines[2].strip().startswith("└─ raw/a.csv")


def test_empty_answers_speak_on_stderr(tmp_path) -> None:
    """An empty list is an empty stdout and a sentence on stderr; in JSON it is []."""
    log = str(tmp_path)
    (tmp_path / "inbox").mkdir()
    for command in (commands.models, commands.runs):
        found = ask(command, "--log", log)
        assert "" == found.stdout
        assert found.stderr
        assert [] == json.loads(ask(command, "--json", "--log", log).stdout)


def test_what_is_not_compacted_is_said(tmp_path, make) -> None:
    """When the log or its inbox holds more than the tables, stderr says so, with the command to run."""
    log = open_log(str(tmp_path / "log"))
    log.append(LOCAL, Batch(0, 2, make.entries(make.story()[:2])))
    found = ask(commands.models, "--json", "--log", log.uri)
    assert [] == json.loads(found.stdout)
    assert "1 segment not compacted: modeltrail compact\n" == found.stderr
    inbox = tmp_path / "log" / "inbox"
    inbox.mkdir(exist_ok=True)
    (inbox / "w.ndjson").write_text("".join(json.dumps(event) + "\n" for event in make.story()[2:4]))
    assert (
        "2 events in the inbox and 1 segment not compacted" in ask(commands.models, "--log", log.uri).stderr
    )
    assert "4 records of 2 segments" in ask(table_commands.compact, "--log", log.uri).stdout
    assert "" == ask(commands.models, "--log", log.uri).stderr
    assert {"segments": 2, "records": 4, "rejected": 0, "buckets": 1, "carried": 0} == json.loads(
        ask(table_commands.rebuild, "--json", "--log", log.uri).stdout
    )
    assert "up to date" in ask(table_commands.compact, "--log", log.uri).stdout


def test_an_unknown_model_is_not_found(churn) -> None:
    """An unknown model reaches the console script as NotFound."""
    with pytest.raises(NotFound):
        CliRunner().invoke(commands.show, ["nobody", "--log", churn.uri], catch_exceptions=False)


@pytest.fixture
def modeltrail():
    """Call the installed console script."""
    script = Path(sys.executable).with_name("modeltrail")

    def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [script, *arguments], capture_output=True, text=True, env=os.environ | environment, check=False
        )

    return call


def test_the_console_script(churn, modeltrail) -> None:
    """The real script answers with exit code 0, refuses with 2 and 1, and says why on stderr alone."""
    found = modeltrail("trace", "churn@3", "--log", churn.uri)
    assert (0, "") == (found.returncode, found.stderr)
    assert found.stdout.startswith("churn@3")
    missing = modeltrail("show", "chrun@3", MODELTRAIL_LOG=churn.uri)
    assert (1, "") == (missing.returncode, missing.stdout)
    assert "Nearest: churn" in missing.stderr
    refused = modeltrail("sql", "DROP TABLE runs", "--log", churn.uri)
    assert (2, "") == (refused.returncode, refused.stdout)


def test_watch_takes_up_what_comes_and_ends_on_sigterm(tmp_path, make) -> None:
    """`compact --watch` compacts what is sealed later, and SIGTERM ends it with exit code 0."""
    log = open_log(str(tmp_path / "log"))
    script = Path(sys.executable).with_name("modeltrail")
    command = [script, "compact", "--watch", "--interval", "0.1", "--json", "--log", log.uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "Looking every 0.1 s" in process.stderr.readline()
        log.append(LOCAL, Batch(0, 2, make.entries(make.story()[:2])))
        assert 2 == json.loads(process.stdout.readline())["records"]
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(60)


def test_sql_from_a_pipe(churn) -> None:
    """Without a query, and without a terminal, the SELECT is read from stdin."""
    result = CliRunner().invoke(
        commands.sql, ["--log", churn.uri], input="SELECT count(*) AS runs\nFROM runs", catch_exceptions=False
    )
    assert ["runs", "6"] == result.stdout.split()


def on_a_terminal(arguments: list[str], columns: int, typed: str = "", **environment: str) -> str:
    """What a terminal of so many columns shows of a command."""
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        [Path(sys.executable).with_name("modeltrail"), *arguments],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**os.environ, **environment, "COLUMNS": str(columns), "TERM": "xterm"},
    ) as process:
        os.close(inside)
        os.write(terminal, typed.encode())
        told = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while some := os.read(terminal, 65536):
                told += some
    os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", told.decode())
    assert 0 == process.returncode, text
    return text


def test_a_narrow_terminal_gets_less_and_no_broken_lines(churn) -> None:
    """At 80 columns a row is one line: ids are shortened, spare columns left out, and that is said."""
    runs = answers.runs(churn)
    wide, narrow = (
        on_a_terminal(["runs", "--log", churn.uri], columns).splitlines() for columns in (160, 80)
    )
    assert runs[0]["run_id"] in wide[1]
    assert max(map(len, narrow)) <= 80
    assert all(row["run_id"][-12:] in line for row, line in zip(runs, narrow[1:], strict=False))
    models = on_a_terminal(["models", "--log", churn.uri], 66).splitlines()
    assert len(answers.models(churn)) + 2 == len(models)
    assert models[-1].startswith("Left out for the width: run, digest")


def test_changes_of_show_say_where_long_values_differ() -> None:
    """Values that look the same when they are shortened are told apart; a changed step hides no parameter."""
    told = [
        ("parameters", "C", "0.12345678", "0.12345679"),
        ("transformations", "scale", f"S({'a' * 60}=1)", f"S({'a' * 60}=2)"),
        ("parameters", "scale__copy", "true", "false"),
        ("transformations", "gone", "S()", None),
        ("parameters", "gone__copy", "true", None),
    ]
    rows = [dict(zip(("section", "path", "before", "after"), row, strict=True)) for row in told]
    assert [
        ("C", "0.12345678 → 0.12345679"), ("scale", f"…{'a' * 19}=1) → …{'a' * 19}=2)"),
        ("scale__copy", "true → false"), ("gone", "S() → nothing"),
    ] == [line[1:3] for line in story._changes(rows)]  # fmt: skip


def test_sql_opens_a_prompt(churn, tmp_path) -> None:
    """On a terminal `sql` takes statements to the end, knows the tables, survives errors, keeps history."""
    typed = ".tables\n.columns edges\nSELECT count(*) AS n\nFROM nowhere;\nSELECT 6 * 7 AS answer;\n.quit\n"
    text = on_a_terminal(["sql", "--log", churn.uri], 200, typed, XDG_STATE_HOME=str(tmp_path))
    assert re.search(r"run_datasets +One row per dataset", text), text
    assert re.search(r"from_name +VARCHAR +Name of what went into it\.", text), text
    assert "nowhere does not exist" in text
    assert re.search(r"answer\s+42", text), text
    assert "SELECT 6 * 7 AS answer;" in (tmp_path / "modeltrail" / "sql").read_text()


@pytest.mark.parametrize("leave", ["exit", "QUIT;", "quit", ".exit"])
def test_the_prompt_is_left_as_other_prompts_are(churn, tmp_path, leave) -> None:
    """`help` helps, and `quit` and `exit` leave, with and without a dot or a semicolon."""
    typed = f"help\n{leave}\nSELECT 6 * 7 AS never;\n"
    text = on_a_terminal(["sql", "--log", churn.uri], 200, typed, XDG_STATE_HOME=str(tmp_path))
    assert "A SELECT ends with a semicolon" in text
    assert not re.search(r"never\s+42", text), text
