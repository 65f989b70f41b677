"""Events that other producers really sent: all are kept."""

from collections import Counter

import pytest

from modeltrail_collector.judge import judge

# The warned ones: Feast's producer is "feast"; Spark's data source of files has the URI "file".
EXPECTED = {
    "airflow": {"accepted": 4},
    "dagster": {"accepted": 2},
    "dbt": {"accepted": 2},
    "feast": {"warned": 2},
    "spark": {"accepted": 10, "warned": 52},
}


@pytest.mark.parametrize("producer", EXPECTED)
def test_real_events_are_kept(real_events, producer):
    """Every event of a real producer is accepted or warned about, and none rejected."""
    assert EXPECTED[producer] == Counter(judge(line).verdict for line in real_events[producer])


def test_real_events_break_formats_only(real_events):
    """What real producers break is formats: the URIs of producers and data sources."""
    found = {
        (reason.code, reason.path.rpartition(".")[2])
        for lines in real_events.values()
        for line in lines
        for reason in judge(line).reasons
    }
    assert {("format", "producer"), ("format", "_producer"), ("format", "uri")} == found


def test_real_events_name_their_run(real_events):
    """Of every real run event the run, the job, the time and the kind are read."""
    for lines in real_events.values():
        for line in lines:
            found = judge(line)
            assert "run" == found.event_kind
            assert None not in (found.run_id, found.job_namespace, found.job_name, found.event_time)


def test_every_file_of_real_events_has_its_expectation(real_events):
    """No file of real events lies here unjudged."""
    assert set(EXPECTED) == set(real_events)
