"""Tables in an object store (moto's S3): the same rows, one owner at a time, and upkeep as on a disk."""

import json
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from deltalake import DeltaTable

from modeltrail_collector.cli import answers as commands
from modeltrail_collector.errors import Unavailable
from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.log.lease import FREE
from modeltrail_collector.model import LOCAL
from modeltrail_collector.tables import PUBLIC, compact, keep_up, rebuild, table_store, upkeep

COMPACT = [sys.executable, "-c", "from modeltrail.cli import main; main()", "compact", "--log"]
ALLOW_HTTP = {"allow_http": "true"}


@pytest.fixture
def remote(s3_uri, make):
    """A log in S3 that holds the story, an entry a segment."""
    log = open_log(s3_uri)
    for number, entry in enumerate(make.entries(make.story())):
        log.append(LOCAL, Batch(number, number + 1, [entry]))
    return log


def rows_of(log):
    found = {name: table_store(log).open(name).to_pyarrow_table().to_pylist() for name in PUBLIC}
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


@pytest.mark.slow
def test_the_same_tables_as_on_a_disk(remote, log, seal, make) -> None:
    """Compacted twice and rebuilt, the tables in S3 hold the rows that those on a disk hold."""
    seal(make.entries(make.story()))
    compact(log)
    assert 12 == compact(remote).records
    late = make.run_event("FAIL", make.base, make.uuid7(make.base, 101), "prepare-churn")
    for one in (remote, log):
        one.append(LOCAL, Batch(12, 13, make.entries([late], start=12)))
        assert 1 == compact(one).buckets
    assert rows_of(log) == rows_of(remote)
    rebuild(remote)
    assert rows_of(log) == rows_of(remote)


def test_two_compactors_at_once_and_answers(remote) -> None:
    """Two processes that compact one log in S3 take turns; answers come from there, SQL reaches no more."""
    both = [subprocess.Popen([*COMPACT, remote.uri]) for _ in range(2)]
    assert [0, 0] == [process.wait(120) for process in both]
    events = table_store(remote).open("events").to_pyarrow_table()["offset"].to_pylist()
    assert list(range(12)) == sorted(events)
    assert remote.store.read("leases/tables") == FREE

    def ask(*arguments):
        return CliRunner().invoke(arguments[0], [*arguments[1:], "--log", remote.uri])

    assert 3 == len(json.loads(ask(commands.models, "--json").stdout))
    counted = ask(commands.sql, "SELECT count(*) AS n FROM events", "--json")
    assert [{"n": 12}] == json.loads(counted.stdout)
    outside = remote.uri.replace("/some/where", "/*.avro")
    assert 0 != ask(commands.sql, f"SELECT * FROM read_parquet('{outside}'), runs").exit_code


@pytest.mark.slow
@pytest.mark.parametrize("step", ["flat_committed", "table_replaced:4"])
def test_killed_in_an_object_store(step, remote, monkeypatch) -> None:
    """Who is killed there loses the lease after its term; the next one completes what he began."""
    with monkeypatch.context() as patch:
        patch.setenv("MODELTRAIL_FAILPOINT", step)
        assert -signal.SIGKILL == subprocess.run([*COMPACT, remote.uri], check=False).returncode
    assert 0 == subprocess.run([*COMPACT, remote.uri], check=False, timeout=200).returncode
    before = rows_of(remote)
    assert 12 == len(before["events"])
    rebuild(remote)
    assert before == rows_of(remote)


@pytest.mark.slow
def test_upkeep_in_an_object_store(remote, monkeypatch) -> None:
    """Small files are joined and old ones removed there too; a reader of a version that is kept goes on."""
    compact(remote)
    uri = table_store(remote).uri("runs")
    held = DeltaTable(uri, storage_options=ALLOW_HTTP)
    rebuild(remote)
    assert 0 == keep_up(remote).removed
    assert 6 == held.to_pyarrow_table().num_rows
    monkeypatch.setattr(upkeep, "_KEEP_HOURS", 0)
    before = rows_of(remote)
    assert keep_up(remote).removed > 0
    assert before == rows_of(remote)


def test_an_object_store_that_is_away(s3_uri, monkeypatch) -> None:
    """A store that does not answer is said to be away: nobody is told to rebuild."""
    tables = table_store(open_log(s3_uri))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(type(tables), "options", {"allow_http": "true", "max_retries": "0", "timeout": "1s"})
    with pytest.raises(Unavailable, match="cannot be reached"):
        tables.open("runs")
