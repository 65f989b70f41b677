"""Events as plain dicts, and the ids in them."""

import datetime as dt
import uuid

from openlineage.client.event_v2 import RunEvent

from modeltrail import event
from modeltrail.event import Dataset


def test_a_run_id_is_a_uuid_of_version_7_and_later_ones_sort_after():
    """Run ids are UUIDs of version 7 whose first 48 bits are the time in milliseconds."""
    before = dt.datetime.now(dt.UTC).timestamp() * 1000
    made = uuid.UUID(event.new_run_id())
    after = dt.datetime.now(dt.UTC).timestamp() * 1000
    assert 7 == made.version
    assert uuid.RFC_4122 == made.variant
    assert before - 1 <= made.int >> 80 <= after


def test_run_ids_differ():
    """A thousand run ids made at once are a thousand."""
    assert 1000 == len({event.new_run_id() for _ in range(1000)})


def test_an_event_always_has_inputs_and_outputs():
    """An event without datasets has two empty lists: OpenMetadata calls it malformed otherwise."""
    made = event.run_event("START", event.now(), event.new_run_id(), "ns", "job")
    assert ([], []) == (made["inputs"], made["outputs"])


def test_schema_url_is_that_of_the_installed_client():
    """The event's schemaURL is the one that openlineage-python would write."""
    made = event.run_event("START", event.now(), event.new_run_id(), "ns", "job")
    assert RunEvent._get_schema() == made["schemaURL"]


def test_now_has_microseconds_and_ends_in_z():
    """Event times are UTC with six digits: consumers sort a run's events by them."""
    dt.datetime.strptime(event.now(), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.UTC)


def test_datasets_are_equal_by_name():
    """Two datasets of one name are equal whatever is known of them."""
    known = Dataset("file", "/a", {"version": {"datasetVersion": "1"}})
    assert known == Dataset("file", "/a")
    assert 1 == len({known, Dataset("file", "/a")})
    assert known != Dataset("file", "/b")


def test_use_facets_stay_on_their_side():
    """Input facets are not written for an output, nor output facets for an input."""
    both = Dataset("file", "/a", {}, {"in": {}}, {"out": {}})
    assert {"namespace": "file", "name": "/a", "facets": {}, "inputFacets": {"in": {}}} == both.as_input()
    assert {"namespace": "file", "name": "/a", "facets": {}, "outputFacets": {"out": {}}} == both.as_output()
