"""The main job through real parts: an unchanged script, a real topic, the log, the tables, the answer."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fastavro
import pytest
from deltalake import DeltaTable

TRAIN = """
import sys

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression

frame = pd.read_csv("churn.csv")
model = LogisticRegression(C=0.5).fit(frame.drop(columns="churned"), frame["churned"])
joblib.dump(model, "churn.joblib")
print("trained", sys.argv[1:])
"""
ENDINGS = {
    "exception": ("raise ValueError('no such column: tenure')", 1, "FAIL"),
    "sys.exit": ("import sys; sys.exit(3)", 3, "FAIL"),
    "os._exit": ("import os; os._exit(5)", 5, "FAIL"),
    "signal": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL, "ABORT"),
    "success": ("print('fine')", 0, "COMPLETE"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a training script and its data."""
    rows = "".join(f"{n % 60},{20 + n * 7 % 90},{int(n % 60 < 20)}\n" for n in range(240))
    (tmp_path / "churn.csv").write_text("tenure,spend,churned\n" + rows)
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


@pytest.fixture
def kafka_settings(kafka_bootstrap: str, kafka_topic) -> dict[str, str]:
    """The environment of a program whose events go to a fresh topic."""
    return {
        "OPENLINEAGE__TRANSPORT__TYPE": "modeltrail.KafkaTransport",
        "OPENLINEAGE__TRANSPORT__TOPIC": kafka_topic(3),
        "OPENLINEAGE__TRANSPORT__ON_FAILURE": "raise",
        "OPENLINEAGE__TRANSPORT__CONFIG": json.dumps({"bootstrap.servers": kafka_bootstrap}),
        "OPENLINEAGE_NAMESPACE": "churn",
        "MODELTRAIL_STRICT": "1",
    }


def collected(call, project: Path, settings: dict[str, str]) -> Path:
    """Collect the topic and compact; the tables' folder."""
    call("collect", "--until-end", cwd=project, **settings)
    call("compact", cwd=project)
    return Path(os.environ["MODELTRAIL_LOG"]) / "tables"


@pytest.mark.kafka
def test_an_unchanged_script_is_recorded_from_topic_to_answer(
    modeltrail_command, project: Path, kafka_settings: dict[str, str]
) -> None:
    """Data, parameters, code, environment and artifact of an unchanged script are in the answer to `show`."""
    told = modeltrail_command(
        "run", "--", sys.executable, "train.py", "--fast", cwd=project, **kafka_settings
    ).stdout
    assert told == "trained ['--fast']\n"
    tables = collected(modeltrail_command, project, kafka_settings)
    (model,) = DeltaTable(tables / "models").to_pyarrow_table().to_pylist()
    digest = hashlib.sha256((project / "churn.joblib").read_bytes()).hexdigest()
    assert model["digest"] == digest
    assert model["algorithm"] == "sklearn.linear_model.LogisticRegression"
    shown = json.loads(modeltrail_command("show", "churn.joblib", "--json", cwd=project).stdout)
    by_name = {row["name"]: row for row in shown["params"]}
    assert (by_name["C"]["value"], by_name["C"]["origin"]) in {("0.5", "explicit"), (0.5, "explicit")}
    assert by_name["max_iter"]["origin"] == "default"
    assert "train.py" in json.dumps(shown["code"])
    assert "--fast" in json.dumps(shown["code"])
    assert "scikit-learn" in json.dumps(shown["environment"])
    assert not shown["deployments"]
    assert "not recorded" in modeltrail_command("show", "churn.joblib", cwd=project).stdout


@pytest.mark.kafka
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_told_by_the_last_event(
    ending: str, modeltrail_command, project: Path, kafka_settings: dict[str, str]
) -> None:
    """Exception, sys.exit, os._exit, a deadly signal and success each end with their state and exit code."""
    code, exit_code, state = ENDINGS[ending]
    (project / "end.py").write_text(code)
    modeltrail_command(
        "run", "--", sys.executable, "end.py", cwd=project, expected=exit_code, **kafka_settings
    )
    tables = collected(modeltrail_command, project, kafka_settings)
    (run,) = DeltaTable(tables / "runs").to_pyarrow_table().to_pylist()
    assert run["state"] == state
    assert run["ended_at"] is not None


@pytest.mark.kafka
def test_the_log_is_read_without_modeltrail(
    modeltrail_command, project: Path, kafka_settings: dict[str, str]
) -> None:
    """Plain fastavro reads the sealed records: the bytes of the topic, with verdict and digest."""
    modeltrail_command("run", "--", sys.executable, "train.py", cwd=project, **kafka_settings)
    tables = collected(modeltrail_command, project, kafka_settings)
    records = []
    for path in sorted((tables.parent / "raw").rglob("*.avro")):
        with path.open("rb") as file:
            records += list(fastavro.reader(file))
    assert {record["verdict"] for record in records} == {"accepted"}
    for record in records:
        assert record["sha256"] == hashlib.sha256(record["value"]).hexdigest()
        event = json.loads(record["value"])
        assert (record["run_id"], record["event_type"]) == (event["run"]["runId"], event["eventType"])
        assert record["key"] == b"run:churn/train"


def test_a_broken_emitter_never_breaks_the_program(project: Path) -> None:
    """No broker, no place for the spool and a parameter that fails when read: the result is untouched."""
    script = (
        "import modeltrail\n"
        "class Odd:\n"
        "    def __getattribute__(self, name): raise RuntimeError('odd')\n"
        "with modeltrail.run('train') as run:\n"
        "    run.params({'odd': Odd()})\n"
        "    result = 42\n"
        "print(result)\n"
    )
    (project / "odd.py").write_text(script)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MODELTRAIL")},
        "OPENLINEAGE__TRANSPORT__TYPE": "modeltrail.KafkaTransport",
        "OPENLINEAGE__TRANSPORT__TIMEOUT": "1",
        "OPENLINEAGE__TRANSPORT__CONFIG": '{"bootstrap.servers": "127.0.0.1:1"}',
        "MODELTRAIL_SPOOL": "/dev/full/spool",
    }
    result = subprocess.run(
        [sys.executable, "odd.py"], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "42\n"), result.stderr
