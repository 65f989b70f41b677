"""The laws of the house that no linter knows, each as a test over the source itself."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("emitter", "collector", "schemas")
LINES_PER_FUNCTION = 50
LINES_PER_MODULE = 400


def tracked(*suffixes: str) -> list[Path]:
    """All files that git tracks, or would, with one of the suffixes."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = [ROOT / line for line in listing.splitlines() if line.endswith(suffixes)]
    return sorted(path for path in set(found) if path.is_file())


def sources() -> list[Path]:
    return [path for path in tracked(".py") if path.relative_to(ROOT).parts[0] in ROOMS]


def proofs() -> list[Path]:
    return [path for path in tracked(".py") if path.relative_to(ROOT).parts[0] == "tests"]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_functions_are_short() -> None:
    """No function of the product is longer than 50 lines."""
    long = [
        f"{where(path, node.lineno)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in sources()
        for node in functions(path)
        if node.end_lineno - node.lineno + 1 > LINES_PER_FUNCTION
    ]
    assert [] == long


def test_modules_are_small() -> None:
    """No module of the product is longer than 400 lines."""
    long = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for path in sources()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LINES_PER_MODULE
    ]
    assert [] == long


def test_every_test_states_a_fact() -> None:
    """Every test function has a docstring, and it is a sentence."""
    silent = [
        where(path, node.lineno) + " " + node.name
        for path in proofs()
        for node in functions(path)
        if node.name.startswith("test_")
        and path.name.startswith("test_")
        and not (ast.get_docstring(node) or "").rstrip().endswith(".")
    ]
    assert [] == silent


def test_nothing_is_skipped() -> None:
    """No test is skipped or expected to fail: what cannot run is deselected by a marker, in the open."""
    pattern = re.compile(r"pytest\.(skip|xfail|importorskip)\b|mark\.(skip|skipif|xfail)\b")
    assert [] == hits(pattern, [path for path in proofs() if path != Path(__file__)])


def test_no_unfinished_work() -> None:
    """No source carries a note to finish it later, or a stub in place of work."""
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
    assert [] == hits(pattern, sources())


def test_no_merge_is_left_half_done() -> None:
    """No file holds the marks that git puts where two branches contradict each other."""
    assert [] == hits(re.compile(r"^(<{7}|>{7}) \w"), tracked(".py", ".md", ".toml", ".json", ".sql", ".yml"))


def test_no_machine_paths() -> None:
    """Nothing that is committed holds an absolute path of somebody's machine."""
    pattern = re.compile(r"(?<![\w.])/(root|work|home/\w+)/[\w.]")
    text = tracked(".py", ".md", ".toml", ".json", ".ndjson", ".yml", ".yaml", ".xml", "Makefile", "run")
    assert [] == hits(pattern, [path for path in text if path != Path(__file__)])


def test_only_the_command_line_prints() -> None:
    """Only the command lines print: a library never writes to its host's terminal."""
    pattern = re.compile(r"^\s*print\(|sys\.stdout\.write")
    quiet = [path for path in sources() if not {"cli", "demo"} & set(path.relative_to(ROOT).parts)]
    assert [] == hits(pattern, quiet)


def test_no_mocks() -> None:
    """Nothing uses unittest.mock: fakes are ours and pass the contract suites."""
    pattern = re.compile(r"unittest\.mock|MagicMock|from unittest import mock")
    assert [] == hits(pattern, [path for path in tracked(".py") if path != Path(__file__)])


def hits(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{where(path, number)}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("room", ["modeltrail", "modeltrail_collector", "modeltrail_schemas"])
def test_a_room_is_imported_by_its_own_name(room: str) -> None:
    """Each package is found under its own name wherever Python starts, through the installed distribution."""
    code = f"import {room}, sys; print({room}.__file__)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False
    )
    assert 0 == result.returncode, result.stderr
    assert result.stdout.strip().endswith(f"{room}/__init__.py")
