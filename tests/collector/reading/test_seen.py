"""What is held ready follows the tables, wherever they lie."""

import msgspec

from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.model import LOCAL
from modeltrail_collector.tables import compact
from modeltrail_collector.web.reading import seen as seen_
from modeltrail_collector.web.reading.look import LOOKS
from modeltrail_collector.web.reading.query import Query
from modeltrail_collector.web.reading.seen import Seen


def test_a_log_in_an_object_store_is_browsed(s3_uri, make, tmp_path):
    """Jobs and events are those of the same log on a disk, and a tag holds for as long as nothing comes."""
    shown, entries = [], make.entries(make.story())
    for uri in (s3_uri, str(tmp_path / "log")):
        log = open_log(uri)
        log.append(LOCAL, Batch(0, len(entries), entries))
        compact(log)
        seen = Seen(open_log(uri), None)
        assert seen.refresh() == seen.refresh()
        shown.append([ask(seen, path, query) for path, query in ASKED])
        seen.close()
    assert shown[0] == shown[1]
    assert shown[0][0]["jobs"]


ASKED = [("/jobs", {}), ("/events/lineage", {"limit": "3"}), ("/sources", {}), ("/search", {"q": "churn"})]


def ask(seen, path, query):
    return msgspec.json.decode(msgspec.json.encode(LOOKS[path](seen, {}, Query(query))))


def test_what_takes_long_to_make_ready_rests(make, tmp_path, monkeypatch):
    """It is made anew only after many times as long; runs are those of now all the same."""
    log, story = open_log(str(tmp_path / "log")), make.entries(make.story())
    seen = Seen(log, None)
    found = []
    monkeypatch.setattr(seen_, "_RESTS", 10_000)
    for long, part in ((0, story[:2]), (0, story[2:8]), (1000, story[8:])):
        monkeypatch.setattr(seen_, "_LONG_S", long)
        log.append(LOCAL, Batch(part[0].offset, part[-1].offset + 1, part))
        compact(log)
        found.append((seen.refresh(), len(ask(seen, "/jobs", {})["jobs"])))
        assert seen.runs([part[-1].run_id])
        if len(found) == 2:
            seen._until = 0.0  # that time is over
    assert [1, 1, 3] == [jobs for _, jobs in found]
    assert 3 == len({version for version, _ in found})
