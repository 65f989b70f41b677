"""`run.input(data, subjects="column")`: the facet, the index beside it, and what is only logged."""

from pathlib import Path

import pandas as pd
import pytest

import modeltrail
from modeltrail import guard, settings
from modeltrail_schemas import subjects

KEY = "0123456789abcdef" * 4
FACET = "modelTrail_subjects"
FRAME = pd.DataFrame({"customer": [7, 8, 7], "spend": [1.0, 2.0, 3.0]})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subjects.key").write_text(KEY)
    FRAME.to_csv("train.csv", index=False)
    return tmp_path


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    monkeypatch.setenv("MODELTRAIL_SUBJECTS_KEY", "subjects.key")
    monkeypatch.setenv("MODELTRAIL_SUBJECTS_INDEX", "kept/subjects")
    return folder / "kept" / "subjects"


@pytest.fixture
def lenient(events: list[dict], caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """As a host runs it: our failures are logged."""
    with modeltrail.testing.strict(False):
        guard.reset()
        yield caplog


def test_input_and_output_name_their_index(events: list[dict], configured: Path) -> None:
    """The facet of both says column, count and index; the index is named by its content and written once."""
    with modeltrail.run("prepare") as run:
        run.input("train.csv", subjects="customer")
        (written,) = configured.iterdir()
        before = written.stat().st_mtime_ns
        run.output(FRAME.iloc[:1], name="features", subjects="customer")
        run.output(FRAME, name="all", subjects="customer")
    (of_input,) = (each["facets"][FACET] for each in events[-1]["inputs"])
    of_outputs = {each["name"]: each["facets"][FACET] for each in events[-1]["outputs"]}
    assert ("customer", 2, written.as_uri()) == (
        *(of_input["keyColumn"], of_input["count"]),
        of_input["index"]["uri"],
    )
    assert of_input["index"] == of_outputs["all"]["index"]
    assert 1 == of_outputs["features"]["count"]
    assert 2 == len(list(configured.iterdir()))
    assert before == written.stat().st_mtime_ns
    data = written.read_bytes()
    assert (written.stem, of_input["index"]["sha256"]) == (subjects.sha256(data),) * 2
    assert subjects.key_id(KEY.encode()) == of_input["index"]["keyId"]
    assert [True, False] == [
        subjects.holds(data, subjects.pseudonym(KEY.encode(), each)) for each in ("8", "9")
    ]


def test_without_the_argument_nobody_looks(events: list[dict], configured: Path) -> None:
    """No facet and no file where no column is named."""
    with modeltrail.run("prepare") as run:
        run.input("train.csv")
    assert FACET not in events[-1]["inputs"][0]["facets"]
    assert not configured.exists()


def recorded(events: list[dict], data: object = "train.csv", column: str = "customer") -> dict:
    """The input of a run that names its subjects, as it left."""
    with modeltrail.run("prepare") as run:
        run.input(data, name="data", subjects=column)
    return events[-1]["inputs"][0]


def test_without_a_key_the_input_is_recorded_all_the_same(events: list[dict], lenient) -> None:
    """Neither key nor directory: no facet, the rest of the input, and one line that says what to set."""
    for _ in range(3):
        found = recorded(events)
        assert FACET not in found["facets"]
        assert "modelTrail_dataUse" in found["inputFacets"]
    (line,) = lenient.messages
    assert "MODELTRAIL_SUBJECTS_KEY" in line
    assert "MODELTRAIL_SUBJECTS_INDEX" in line


@pytest.mark.parametrize("key", ["short", None], ids=["too short", "missing"])
def test_a_key_that_cannot_be_used_is_one_line(events: list[dict], lenient, configured, key, folder) -> None:
    """A key of a few bytes, or a file that is not there: one line, nothing raised."""
    file = folder / "subjects.key"
    file.write_text(key) if key else file.unlink()
    assert FACET not in recorded(events)["facets"]
    recorded(events)
    assert 1 == len(lenient.messages)
    assert "subjects.key" in lenient.text


@pytest.mark.parametrize(
    ("data", "column"), [("train.csv", "nobody"), (object(), "x"), ("s3://b/a.csv", "x")]
)
def test_a_column_that_cannot_be_read_is_one_line(events, lenient, configured, data, column) -> None:
    """An unknown column, no table, a remote file: one line that names the dataset, nothing raised."""
    assert FACET not in recorded(events, data, column)["facets"]
    recorded(events, data, column)
    (line,) = lenient.messages
    assert column in line
    assert "data" in line


def test_a_directory_that_takes_no_file_is_one_line(events: list[dict], lenient, configured: Path) -> None:
    """Where the index cannot be written the facet names none."""
    configured.parent.write_text("a file")
    assert FACET not in recorded(events)["facets"]
    assert 1 == len(lenient.messages)
    configured.parent.unlink()
    assert FACET in recorded(events)["facets"]


def test_the_settings_are_made_absolute(configured: Path, folder: Path) -> None:
    """Relative to where the program was launched, as `log` and `spool`."""
    found = settings.current()
    assert (folder / "subjects.key", configured) == (found.subjects_key, found.subjects_index)
