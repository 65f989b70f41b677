"""The places where a log can lie: memory, a directory, and S3 (moto's, spoken to over HTTP)."""

import pytest

from modeltrail_collector.log import Log, open_log
from modeltrail_collector.testing import MemoryStore


@pytest.fixture(params=["memory", "disk", "s3"])
def log(request: pytest.FixtureRequest, tmp_path) -> Log:
    if request.param == "memory":
        return Log(MemoryStore())
    return open_log(request.getfixturevalue("s3_uri") if request.param == "s3" else tmp_path / "lineage")
