"""The events that the judge's tests share."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture(scope="session")
def bases() -> dict[str, dict[str, Any]]:
    """Valid events: `run` with every known facet, `minimal`, `job`, `dataset`."""
    return json.loads((DATA / "judge" / "bases.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def event_with(bases) -> Callable[..., dict[str, Any]]:
    """A base event with some values set or removed, by dotted paths."""

    def make(base: str, values: dict[str, Any] | None = None, remove: tuple[str, ...] = ()) -> dict[str, Any]:
        event = copy.deepcopy(bases[base])
        for path, value in (values or {}).items():
            parent, last = holder(event, path)
            parent[last] = value
        for path in remove:
            parent, last = holder(event, path)
            del parent[last]
        return event

    return make


def holder(event: dict[str, Any], path: str) -> tuple[Any, Any]:
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in steps:
        event = event[step]
    return event, last


@pytest.fixture(scope="session")
def real_events() -> dict[str, list[bytes]]:
    """Events of other producers, as they were sent: producer -> lines."""
    files = sorted((DATA / "real-events").glob("*.ndjson"))
    return {file.stem: file.read_bytes().splitlines() for file in files}
