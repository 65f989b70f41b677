"""The places where a log can lie: memory, the simulation's, a directory, and S3 (moto's, over HTTP)."""

import pytest
from simulation.store import Media, ProcessStore

from modeltrail_collector.log import Log, open_log
from modeltrail_collector.testing import MemoryStore


@pytest.fixture(params=["memory", "simulated disk", "simulated objects", "disk", "s3"])
def log(request: pytest.FixtureRequest, tmp_path) -> Log:
    if request.param == "memory":
        return Log(MemoryStore())
    if request.param.startswith("simulated"):
        return Log(ProcessStore(Media(disk="disk" in request.param)))
    return open_log(request.getfixturevalue("s3_uri") if request.param == "s3" else tmp_path / "lineage")
