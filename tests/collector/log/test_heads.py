"""Heads: what their file says, who signed it, and that no change to it or to the log goes unseen."""

import json
import random
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from modeltrail_collector.errors import ConfigError, NotVerified
from modeltrail_collector.log import Batch, Log, maintain, verify
from modeltrail_collector.log.heads import Change, PartitionHead, read_heads, write_heads
from modeltrail_collector.log.signing import private_key
from modeltrail_collector.model import LogPartition
from modeltrail_collector.testing import MemoryStore


def openssl(*arguments: object) -> bytes:
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A private and a public key, made as the help says."""
    folder = tmp_path_factory.mktemp("keys")
    openssl("genpkey", "-algorithm", "ed25519", "-out", folder / "key.pem")
    openssl("pkey", "-in", folder / "key.pem", "-pubout", "-out", folder / "public.pem")
    return folder / "key.pem", folder / "public.pem"


HEADS = [
    PartitionHead("events", "id", 0, 7, "ab" * 32, (Change(2, 3, "repaired", "cd" * 32),)),
    PartitionHead("größe", "id", 1, 0, "00" * 32),
]


def test_signed_heads_come_back(keys: tuple[Path, Path]) -> None:
    """What was signed is read with the public key, and says so; without the key that is said too."""
    data = write_heads("s3://a/b", HEADS, private_key(keys[0]))
    found = read_heads(data, keys[1])
    assert (tuple(HEADS), "s3://a/b", True) == (found.heads, found.log, found.trusted)
    unchecked = read_heads(data)
    assert (tuple(HEADS), False) == (unchecked.heads, unchecked.trusted)
    assert unchecked.signed_by == found.signed_by != None  # noqa: E711  all three at once


def test_openssl_alone_can_check_a_signature(keys: tuple[Path, Path], tmp_path: Path) -> None:
    """As docs/log-format.md says: the statement as compact JSON with sorted keys is what is signed."""
    document = json.loads(write_heads("/log", HEADS, private_key(keys[0])))
    import base64

    text = json.dumps(document["statement"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (tmp_path / "statement").write_bytes(text.encode())
    (tmp_path / "signature").write_bytes(base64.b64decode(document["signature"]["value"]))
    said = openssl(
        *("pkeyutl", "-verify", "-pubin", "-inkey", keys[1], "-rawin"),
        *("-in", tmp_path / "statement", "-sigfile", tmp_path / "signature"),
    )
    assert b"Successfully" in said
    der = openssl("pkey", "-pubin", "-in", keys[1], "-outform", "DER")
    import hashlib

    assert hashlib.sha256(der).hexdigest() == document["signature"]["key"]


def test_no_change_of_a_signed_file_passes(keys: tuple[Path, Path]) -> None:
    """Of 3,000 random edits of a signed file each is refused, or has changed nothing of what it says."""
    data = write_heads("/log", HEADS, private_key(keys[0]))
    good = read_heads(data, keys[1])
    refused = 0
    for seed in range(3000):
        chance = random.Random(seed)
        changed = bytearray(data)
        at = chance.randrange(len(changed))
        if chance.random() < 0.5:
            changed[at] ^= 1 << chance.randrange(8)
        else:
            del changed[at : at + chance.randint(1, 40)]
        try:
            found = read_heads(bytes(changed), keys[1])
        except NotVerified:
            refused += 1
        else:
            said = (found.heads, found.log, found.written_at)
            assert (good.heads, good.log, good.written_at) == said, f"seed {seed}"
    assert refused > 2000


def test_another_key_an_unsigned_or_an_old_file_is_not_trusted(
    keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """With a key to trust, only what that key signed counts, and the message says what is wrong."""
    openssl("genpkey", "-algorithm", "ed25519", "-out", tmp_path / "other.pem")
    with pytest.raises(NotVerified, match="it names the key"):
        read_heads(write_heads("/log", HEADS, private_key(tmp_path / "other.pem")), keys[1])
    for unsigned in (write_heads("/log", HEADS), b"[]"):
        with pytest.raises(NotVerified, match="not signed"):
            read_heads(unsigned, keys[1])
    document = json.loads(write_heads("/log", HEADS, private_key(keys[0])))
    document["statement"]["heads"][0]["next_offset"] = 6
    with pytest.raises(NotVerified, match="changed after it was signed"):
        read_heads(json.dumps(document).encode(), keys[1])


def test_a_key_that_cannot_be_used_names_the_line_that_makes_one(
    keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """A public key where a private one is asked for, another kind, an encrypted one: each says what to do."""
    with pytest.raises(ConfigError, match="genpkey -algorithm ed25519"):
        private_key(keys[1])
    with pytest.raises(ConfigError, match="-pubout"):
        read_heads(b"[]", keys[0])
    openssl("genpkey", "-algorithm", "x25519", "-out", tmp_path / "other.pem")
    with pytest.raises(ConfigError, match="another kind"):
        private_key(tmp_path / "other.pem")
    openssl("pkey", "-in", keys[0], "-aes256", "-passout", "pass:a", "-out", tmp_path / "secret.pem")
    with pytest.raises(ConfigError, match="is encrypted"):
        private_key(tmp_path / "secret.pem")


def test_heads_of_the_first_version_are_read() -> None:
    """A plain array, as `--write-head` wrote it before there were signatures, still counts."""
    line = b'[\n{"topic":"t","topic_id":"i","partition":3,"next_offset":4,"chain_end":"ab"}\n]\n'
    assert (PartitionHead("t", "i", 3, 4, "ab"),) == read_heads(line).heads


@pytest.mark.parametrize(
    "data", [b"{}", b"", b"[1]", b'{"statement":{"format":"modeltrail heads 3"}}', b"\xff"]
)
def test_a_file_that_holds_no_heads_is_refused(data: bytes) -> None:
    """A wrong file for --head is an answer of its own, not a crash."""
    with pytest.raises(NotVerified, match="cannot be read"):
        read_heads(data)


def test_heads_of_a_newer_version_say_what_to_do() -> None:
    """Of heads in a later format one learns how to read them."""
    data = write_heads("/log", HEADS).replace(b"heads 2", b"heads 9")
    with pytest.raises(NotVerified, match="pip install --upgrade"):
        read_heads(data)


def test_a_head_follows_the_records_not_the_files(
    partition: LogPartition, batch: Callable[..., Batch]
) -> None:
    """A head of a log in small segments holds for the same records in one segment."""
    log = Log(MemoryStore())
    for start in range(0, 40, 10):
        log.append(partition, batch(start, start + 10))
    heads = [verify(log).heads()[0]]
    entries = [entry for segment in log.segments(partition) for entry in log.read(segment)]
    rolled = Log(MemoryStore())
    rolled.append(partition, Batch(0, 40, entries))
    assert verify(rolled, heads).ok


DAY_MS = 86_400_000


def aged(partition: LogPartition, batch: Callable[..., Batch]) -> Log:
    """Ten segments, one a day."""
    store = MemoryStore()
    for day in range(10):
        Log(store, lambda day=day: (20_000 + day) * DAY_MS).append(partition, batch(day * 4, day * 4 + 4))
    return Log(store, lambda: 20_010 * DAY_MS)


def test_what_retention_removes_after_a_head_contradicts_it(
    partition: LogPartition, batch: Callable[..., Batch]
) -> None:
    """A removal since the head is named, by its offsets; a head that is written after it lists it."""
    log = aged(partition, batch)
    before = verify(log).heads()
    maintain(log, keep=timedelta(days=7))
    assert verify(log).ok
    problems = verify(log, before).problems
    assert ["offsets 0 to 11: removed since"] == [p[p.index("offsets") :][:30] for p in problems]

    between = verify(log).heads()
    assert [(0, 12, "removed")] == [(c.first_offset, c.next_offset, c.what) for c in between[0].changes]
    assert verify(log, between).ok
    log.append(partition, batch(40, 44))
    assert verify(log, between).ok
    maintain(Log(log.store, log.wall), keep=timedelta(days=3))
    problems = verify(Log(log.store), between).problems
    assert ["offsets 0 to 27: removed since"] == [p[p.index("offsets") :][:30] for p in problems]


def test_removal_of_what_came_after_a_head_does_not_contradict_it(
    partition: LogPartition, batch: Callable[..., Batch]
) -> None:
    """A head speaks of what lies before it, and of that only."""
    log = aged(partition, batch)
    maintain(log, keep=timedelta(days=7))
    heads = verify(log).heads()
    short = [msgspec.structs.replace(heads[0], next_offset=12, chain_end=heads[0].changes[0].digest)]
    assert verify(log, short).ok
    maintain(Log(log.store, log.wall), keep=timedelta(days=3))
    assert verify(Log(log.store), short).ok
