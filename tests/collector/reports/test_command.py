"""The command `modeltrail report`."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from modeltrail_collector.cli.report import report
from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.reports import FORMATS


def test_the_command_writes_a_file_or_stdout(churn, tmp_path) -> None:
    """The report is on stdout; with --output it is in the file, and stdout is empty."""
    arguments = ["churn@2", "--log", churn.uri, "--made-at", "2026-03-10"]
    found = CliRunner().invoke(report, [*arguments, "--format", "json"], catch_exceptions=False)
    assert "audit" == json.loads(found.stdout)["kind"]
    file = tmp_path / "audit.html"
    written = CliRunner().invoke(report, [*arguments, "--output", str(file)], catch_exceptions=False)
    assert ("", "") == (written.stdout, written.stderr)
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "2026-03-10 00:00:00 UTC" in file.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_no_bug(churn, tmp_path) -> None:
    """A folder that is not there is told as what it is, and not as a traceback."""
    file = tmp_path / "nowhere" / "audit.html"
    arguments = ["churn@2", "--log", churn.uri, "--output", str(file)]
    with pytest.raises(ConfigError, match=r"audit\.html cannot be written: No such file or directory"):
        CliRunner().invoke(report, arguments, catch_exceptions=False)


def test_the_command_writes_of_the_past(churn) -> None:
    """With --known-at the head of the report says the moment; of a model not known by then it is an error."""
    arguments = ["churn@2", "--log", churn.uri, "--format", "md", "--known-at"]
    found = CliRunner().invoke(report, [*arguments, "2100-01-01"], catch_exceptions=False)
    assert "as known at" in found.stdout
    assert "2100-01-01" in found.stdout
    before = CliRunner().invoke(report, [*arguments, "2020-01-01"])
    assert isinstance(before.exception, NotFound)
    assert "held none at the time you ask of" in str(before.exception)


def test_the_help_names_every_kind() -> None:
    """The help says of each kind what it is and which formats it has."""
    text = CliRunner().invoke(report, ["--help"]).stdout
    for kind, formats in FORMATS.items():
        line = next(line for line in text.splitlines() if kind in line and formats[-1] in line)
        assert all(format_ in line for format_ in formats), kind


def test_a_missing_extra_says_what_to_install() -> None:
    """Without the extra's packages the command ends with exit code 2 and the pip line."""
    program = (
        "import sys; sys.modules['jinja2'] = None; from modeltrail.cli import main; main(['report', 'x'])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 2 == found.returncode
    assert "pip install 'modeltrail[report]'" in found.stderr
