"""A compacted log with the churn story, and one where others speak."""

import pytest

from modeltrail_collector.log import Batch, Log, open_log
from modeltrail_collector.model import LOCAL, Reason
from modeltrail_collector.tables import compact


@pytest.fixture(scope="session")
def log_of(make, tmp_path_factory):
    """Make a compacted log of these events."""

    def log_of(events) -> Log:
        log = open_log(str(tmp_path_factory.mktemp("answers") / "log"))
        entries = make.entries(events)
        entries.append(make.rejected(len(entries), b"nope", Reason("not_json", "$", "no JSON")))
        log.append(LOCAL, Batch(0, len(entries), entries))
        compact(log)
        return log

    return log_of


@pytest.fixture(scope="session")
def churn(make, log_of) -> Log:
    """The churn story: three versions, the second one deployed."""
    return log_of(make.story())
