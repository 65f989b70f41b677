"""Members that show their metrics, as `modeltrail collect --metrics` does."""

import os
import urllib.request

from faults.members import Member, Task, collect
from faults.oracle import until
from prometheus_client.parser import text_string_to_metric_families

from modeltrail_collector.telemetry.boards import CollectorBoard
from modeltrail_collector.telemetry.server import serve


def collect_measured(task: Task) -> None:
    """Collect; where the metrics are is said in a file."""
    board = CollectorBoard(1)
    with serve("127.0.0.1:0", board) as url:
        task.errors.with_name(f"url-{os.getpid()}").write_text(url)
        collect(task, board.update)


def measure(member: Member, name: str) -> float:
    """A metric of a member that is measured, its samples added up."""
    file = member.task.errors.with_name(f"url-{member.pid}")
    until(lambda: file.exists() and file.read_text(), "the member shows its metrics")
    with urllib.request.urlopen(f"{file.read_text()}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    found = next(each for each in families if each.name == f"modeltrail_collector_{name}")
    return sum(sample.value for sample in found.samples if not sample.name.endswith("_created"))
