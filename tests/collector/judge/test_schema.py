"""The cache of the derived schema, and the judge's id."""

import json
import os
import re
import subprocess
import sys

import pytest

from modeltrail_collector.judge import judge_id, schema
from modeltrail_collector.judge.derive import derive


@pytest.fixture
def cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cached():
    return json.dumps(schema._cached(), sort_keys=True)


@pytest.fixture(scope="module")
def derived():
    return json.dumps(derive(), sort_keys=True)


def test_the_first_start_writes_the_cache_and_the_second_reads_it(cache_home, derived):
    """What is read back from the cache is what was derived, and the client is not imported for it."""
    assert derived == cached()
    code = (
        "import sys; from modeltrail_collector.judge import judge; "
        "print(judge(b'{}').verdict, 'openlineage.client' in sys.modules)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache_home)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "rejected False\n" == result.stdout


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\x00", None])
def test_a_broken_cache_is_derived_anew(cache_home, derived, damage):
    """A cache that is empty, of another form, binary or half written is replaced, not believed."""
    cached()
    (file,) = (cache_home / "modeltrail").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert derived == cached()
    assert whole == file.read_bytes()


def test_a_cache_that_cannot_be_written_is_done_without(cache_home, derived):
    """Where no cache can be, the schema is derived at each start."""
    cache_home.write_text("a file where the directory should be")
    assert derived == cached()


def test_a_user_without_a_home_is_served(monkeypatch, derived):
    """Without any home directory the schema is derived at each start."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(schema.Path, "home", no_home)
    assert derived == cached()


def no_home():
    raise RuntimeError("Could not determine home directory.")


def test_the_cache_is_kept_by_client_and_judge_version(cache_home):
    """Another client or another judge reads another file."""
    cached()
    (file,) = (cache_home / "modeltrail").iterdir()
    assert f"openlineage-{schema.client_version()}-judge-{schema.JUDGE_VERSION}.json" == file.name


def test_the_judge_id_names_versions_and_schemas():
    """The id holds the judge's version, the client's and a digest of the schemas, and stays the same."""
    assert re.fullmatch(r"judge/\d+ openlineage/[\d.]+\S* schemas/[0-9a-f]{16}", judge_id())
    assert judge_id() == judge_id()


def test_another_schema_has_another_id(monkeypatch):
    """A facet schema that changes changes the id, so a log tells by which rules it was judged."""
    before = schema.digest.__wrapped__()
    known = schema.known()
    changed = known._replace(definitions={**known.definitions, "base.Run": {}})
    monkeypatch.setattr(schema, "known", lambda: changed)
    assert before != schema.digest.__wrapped__()
