"""Temporary files go with the process that made them, whatever becomes of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modeltrail_collector import scratch
from modeltrail_collector.errors import Unavailable

SPILL = """
import sys
from modeltrail_collector.tables.scan import connected
db = connected()
db.execute("SET memory_limit = '40MB'")
db.execute("CREATE TABLE spilled AS SELECT range AS n, md5(range::VARCHAR) AS text FROM range(2000000)")
print("ready", flush=True)
sys.stdin.read()
"""
LOOK = "from modeltrail_collector import scratch; print(scratch.folder())"


@contextmanager
def at_work(place: Path) -> Iterator[subprocess.Popen]:
    """A process that has more than fits into its memory, until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", SPILL],
        env={**os.environ, "TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert "ready\n" == process.stdout.readline()
        yield process


def look(place: Path) -> Path:
    """What another process has for its folder, that ends at once."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**os.environ, "TMPDIR": str(place)},
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(done.stdout.strip())


def spilled(place: Path) -> int:
    """The bytes of all temporary files."""
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())


def test_what_a_killed_process_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    """The temporary files of a process that lives stay; once it was killed the next one removes them."""
    with at_work(tmp_path) as process:
        assert spilled(tmp_path) > 1_000_000
        look(tmp_path)
        assert spilled(tmp_path) > 1_000_000
        process.kill()
    assert spilled(tmp_path) > 1_000_000
    look(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_process_that_ends_leaves_nothing(tmp_path: Path) -> None:
    """Also where it did not close its database."""
    with at_work(tmp_path) as process:
        process.stdin.close()
        assert 0 == process.wait()
    assert [] == list(tmp_path.iterdir())


def test_a_fork_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """And its end leaves that of its parent."""
    forking = f"{LOOK}\nimport os\nif child := os.fork(): os.waitpid(child, 0)"
    done = subprocess.run(
        [sys.executable, "-c", f"{forking}\nprint(scratch.folder().is_dir())\n{LOOK}"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.split()
    assert ["True", "True"] == [line for line in lines if line == "True"]
    assert 2 == len({line for line in lines if line != "True"})
    assert [] == list(tmp_path.iterdir())


def test_only_folders_are_removed_that_are_ours(tmp_path: Path) -> None:
    """A link called as our folders are is not followed, a file not touched."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").write_text("kept")
    (tmp_path / f"{scratch.PREFIX}link").symlink_to(theirs)
    (tmp_path / f"{scratch.PREFIX}file").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    look(tmp_path)
    assert before == sorted(tmp_path.rglob("*"))


def test_a_folder_that_was_cleaned_up_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that works for weeks may lose it to whoever cleans temporary files up."""
    scratch._folder.cache_clear()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first = scratch.folder()
    assert first == scratch.folder()
    shutil.rmtree(first)
    second = scratch.folder()
    assert second.is_dir()
    scratch._folder.cache_clear()


def test_no_room_for_temporary_files_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder, and what to do."""
    scratch._folder.cache_clear()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(Unavailable, match=r"temporary files: .*nowhere.*TMPDIR"):
        scratch.folder()
