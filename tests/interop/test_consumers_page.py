"""docs/consumers.md, whose commands need Feast and OpenMetadata."""

import subprocess
import sys

import pytest
from interop.programs import ROOT

pytestmark = [pytest.mark.interop, pytest.mark.kafka, pytest.mark.timeout(600)]


def test_the_page_prints_what_they_see(kafka_bootstrap) -> None:
    """What the page shows of Feast and of OpenMetadata is what they print now."""
    tool = [sys.executable, ROOT / "tools" / "readme.py", "--interop"]
    compared = subprocess.run(
        [*tool, "--bootstrap-servers", kafka_bootstrap, ROOT / "docs" / "consumers.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compared.returncode == 0, compared.stdout + compared.stderr
