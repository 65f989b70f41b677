"""`modeltrail verify`: its answer, its exit codes, and the head that is kept elsewhere."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from modeltrail_collector.cli.verify import verify
from modeltrail_collector.errors import ConfigError, NotVerified
from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.log import segment as segments
from modeltrail_collector.log.segment import Repair
from modeltrail_collector.pump import Limits, Pump
from modeltrail_collector.testing import MemorySource, MemoryTopic


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of two partitions in five segments each."""
    topic = MemoryTopic(partitions=2)
    for number in range(20):
        topic.append(number % 2, b"%d" % number)
    source = MemorySource(topic, max_records=2)
    pump = Pump(source, open_log(tmp_path / "lineage"), until_end=True, limits=Limits(rows=2))
    while not pump.done:
        pump.turn()
    return tmp_path / "lineage"


def call(log: Path, *arguments: object) -> tuple[int, Result]:
    result = CliRunner().invoke(
        verify, ["--log", str(log), *map(str, arguments)], standalone_mode=False, catch_exceptions=False
    )
    return result.return_value, result


def test_a_sound_log_is_verified(log: Path) -> None:
    """Of a sound log each chain is listed as verified, and the exit code is 0."""
    code, result = call(log)
    assert 0 == code
    header, *lines = result.stdout.splitlines()
    assert ["topic", "partition", "segments", "records"] == header.split("\t")[:4]
    assert [["5", "10", "10"], ["5", "10", "10"]] == [line.split("\t")[2:5] for line in lines]
    assert all(line.endswith("\tverified") for line in lines)


def test_a_changed_log_is_exit_code_1(log: Path) -> None:
    """One changed bit is exit code 1 and a sentence with topic, partition and offsets; no head is written."""
    segment = sorted(log.glob("raw/*/*/1/*.avro"))[2]
    data = bytearray(segment.read_bytes())
    data[-20] ^= 1
    segment.write_bytes(data)
    code, result = call(log, "--write-head", log / "head.json")
    assert 1 == code
    assert "partition 1, offsets 4 to 5" in result.stderr
    assert "\tnot verified" in result.stdout
    assert not (log / "head.json").exists()


def test_a_head_finds_a_shortened_log(log: Path, tmp_path: Path) -> None:
    """A log whose end was removed verifies by itself, but not against a head that was written before."""
    head = tmp_path / "head.json"
    assert 0 == call(log, "--write-head", head)[0]
    assert 0 == call(log, "--head", head)[0]
    max(log.glob("raw/*/*/0/*.avro")).unlink()
    assert 0 == call(log)[0]
    code, result = call(log, "--head", head)
    assert 1 == code
    assert "rolled back" in result.stderr


def test_a_head_finds_a_chain_that_is_gone(log: Path, tmp_path: Path) -> None:
    """Of a partition whose files are all gone only an earlier head knows; it says how far it reached."""
    head = tmp_path / "head.json"
    assert 0 == call(log, "--write-head", head)[0]
    (gone,) = log.glob("raw/*/*/1")
    shutil.rmtree(gone)
    assert 0 == call(log)[0]
    code, result = call(log, "--head", head)
    assert 1 == code
    assert (
        f"{gone.parts[-3]}/1 (topic id {gone.parts[-2]}): an earlier head says it reached offset 10, but"
        in (result.stderr)
    )


def test_a_signed_head_is_trusted_by_its_key(log: Path, tmp_path: Path) -> None:
    """--sign and --trust: a good signature is exit code 0, a forged head 1, an unchecked one is said."""
    key, public, head = tmp_path / "key.pem", tmp_path / "public.pem", tmp_path / "head.json"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    assert 0 == call(log, "--write-head", head, "--sign", key)[0]
    code, result = call(log, "--head", head, "--trust", public)
    assert 0 == code
    assert "its signature is the trusted key's" in result.stderr
    code, result = call(log, "--head", head)
    assert 0 == code
    assert "not checked without --trust" in result.stderr
    head.write_text(head.read_text().replace('"next_offset": 10', '"next_offset": 8'))
    with pytest.raises(NotVerified, match="changed after it was signed"):
        call(log, "--head", head, "--trust", public)
    with pytest.raises(ConfigError, match="--sign goes with"):
        call(log, "--sign", key)


def test_a_repaired_range_is_named_on_stderr(log: Path) -> None:
    """What was repaired verifies, exit code 0, and is named as not original."""
    name = sorted(log.glob("raw/*/*/1/*.avro"))[2]
    store = open_log(log)
    old = store.header(str(name.relative_to(log)))
    batch = Batch(old.first_offset, old.next_offset, list(store.read(old)))
    told = Repair("a test", old.sha256)
    name.write_bytes(
        segments.encode(old.partition, batch, old.chain_start, repair=told, chain_end=old.chain_end)[1]
    )
    code, result = call(log)
    assert 0 == code
    assert "partition 1, offsets 4 to 5 are repaired: not the original records" in result.stderr
    assert [] == json.loads(call(log, "--json")[1].stdout)["partitions"][0]["repaired"]
    assert 4 == json.loads(call(log, "--json")[1].stdout)["partitions"][1]["repaired"][0]["first_offset"]


def test_the_answer_as_json(log: Path) -> None:
    """--json is one document: the answer, and each chain with its end."""
    code, result = call(log, "--json")
    answer = json.loads(result.stdout)
    assert (0, True, 2) == (code, answer["ok"], len(answer["partitions"]))
    assert {10} == {chain["next_offset"] for chain in answer["partitions"]}


def test_an_empty_log_has_nothing_to_prove(tmp_path: Path) -> None:
    """Where nothing is sealed yet that is said, with exit code 0."""
    (tmp_path / "inbox").mkdir()
    code, result = call(tmp_path)
    assert 0 == code
    assert "no records" in result.stderr
