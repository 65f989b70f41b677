"""`modeltrail compact --watch` as operators see it: metrics, health and JSON lines."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.model import LOCAL

COMMAND = [Path(sys.executable).with_name("modeltrail"), "compact"]


def ask(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        return ""


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_watching_compactor_is_seen(tmp_path: Path, make) -> None:
    """Its metrics follow the log, a failure is counted and over when it is mended, and stderr is JSON."""
    log = open_log(tmp_path / "log")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    arguments = ["--watch", "--interval", "0.1", "--log", log.uri, "--metrics", port, "--log-format", "json"]
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        log.append(LOCAL, Batch(0, 2, make.entries(make.story()[:2])))
        wait_for(lambda: "modeltrail_tables_compacted_records_total 2.0" in ask(f"{url}/metrics"))
        text = ask(f"{url}/metrics")
        assert "modeltrail_tables_segments_behind 0.0" in text
        assert "modeltrail_tables_newest_ingested_timestamp_seconds 1." in text
        assert "modeltrail_tables_last_compaction_timestamp_seconds 1." in text
        assert "ok" == json.loads(ask(f"{url}/health"))["status"]
        tables, away = tmp_path / "log" / "tables", tmp_path / "away"
        tables.rename(away)
        tables.write_text("in the way")
        wait_for(lambda: "modeltrail_tables_failures_total 0.0" not in ask(f"{url}/metrics"))
        assert json.loads(ask(f"{url}/health"))["error"]
        tables.unlink()
        away.rename(tables)
        wait_for(lambda: json.loads(ask(f"{url}/health"))["error"] is None)
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.communicate(timeout=60)[1].splitlines()]
    assert 0 == process.returncode
    events = [line["event"] for line in lines]
    assert ["metrics", "watching"] == events[:2]
    assert ["unavailable", "available"] == events[2:]


def test_metrics_need_somebody_to_ask() -> None:
    """--metrics without --watch is an error of usage: the process ends before anybody can ask."""
    result = subprocess.run(
        [*COMMAND, "--metrics", "9465"], capture_output=True, text=True, check=False, timeout=60
    )
    assert 2 == result.returncode
    assert "--metrics needs --watch" in result.stderr


@pytest.mark.parametrize("option", ["--metrics", "--dead-letter-topic"])
def test_files_have_no_endpoint(option: str, tmp_path: Path) -> None:
    """What goes with a topic only is refused with --from-files, by name."""
    command = [COMMAND[0], "collect", "--from-files", str(tmp_path / "*"), option, "9464"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert 2 == result.returncode
    assert f"{option} goes with a topic" in result.stderr
