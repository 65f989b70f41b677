"""What learned from a person: by the indexes of pseudonyms that the log's facets name."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from click.testing import CliRunner
from obstore.store import from_url

import modeltrail_collector
from modeltrail_collector import answers
from modeltrail_collector.cli.impact import impact as command
from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.log import Log
from modeltrail_schemas import subjects

KEY = b"0123456789abcdef" * 4
OTHER = KEY[::-1]

Index = Callable[..., dict]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "subjects.key"
    file.write_bytes(KEY + b"\n")
    return file


@pytest.fixture
def index(make, tmp_path: Path) -> Index:
    """`index(7, 8)`: the facet of a dataset that held these persons, its file written."""

    def index(*persons: object, key: bytes = KEY) -> dict:
        data = subjects.index({subjects.pseudonym(key, subjects.spelled(person)) for person in persons})
        digest = subjects.sha256(data)
        file = tmp_path / f"an index {digest}.subjects"
        file.write_bytes(data)
        return of(file.as_uri(), digest, len(persons), key)

    def of(uri: str, digest: str, count: int, key: bytes) -> dict:
        named = {"uri": uri, "method": "hmac-sha256", "keyId": subjects.key_id(key), "sha256": digest}
        return make.facet("modelTrail_subjects", keyColumn="id", count=count, index=named, capture="observed")

    index.of = of
    return index


def story(make, raw: dict[int, dict | None]) -> list[dict]:
    """For each number: raw data as it was then, prepared to features, trained to version `number`.

    The value is the facet of the raw data, as the one who prepared it says; None: he says nothing.
    """
    events = []
    for number, facet in raw.items():
        at = make.base + timedelta(days=number)
        data = make.used("raw/customers.csv", f"raw {number}", role="other", rows=9)
        if facet:
            data["facets"]["modelTrail_subjects"] = facet
        features = make.used("features.parquet", f"features {number}", role="train", rows=9)
        made = make.dataset("features.parquet", version=make.facet("version", datasetVersion=f"v{number}"))
        features["facets"]["version"] = make.facet("version", datasetVersion=f"v{number}")
        model = make.dataset(
            f"churn-{number}.joblib",
            version=make.facet("version", datasetVersion=str(number)),
            datasetType=make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL"),
        )
        events += [
            make.run_event("COMPLETE", at, make.uuid7(at, 1), "prepare", inputs=[data], outputs=[made]),
            make.run_event(
                *("COMPLETE", at + timedelta(hours=1), make.uuid7(at, 2), "train"),
                inputs=[features],
                outputs=[model],
            ),
        ]
    return events


def models(rows: list[dict]) -> list[str]:
    return [row["version"] for row in rows if row["kind"] == "model"]


def problems(rows: list[dict]) -> list[str]:
    return [row["problem"] for row in rows if row["kind"] == "index"]


def run(log: Log, *arguments: object):
    return CliRunner().invoke(command, ["--log", log.uri, *map(str, arguments)], standalone_mode=False)


def test_only_what_learned_from_the_person_is_told(make, log_of, index, key: Path) -> None:
    """Of three versions of raw data two held the person: their models are listed, through the features."""
    log = log_of(story(make, {1: index(7, 8), 2: index(8, 9), 3: index(7)}))
    rows = answers.impact(log, subject="7", subjects_key=key)
    assert ["1", "3"] == models(rows)
    assert [] == problems(rows)
    assert ["2"] == models(answers.impact(log, subject="009.0", subjects_key=[key]))
    assert [] == answers.impact(log, subject="10", subjects_key=key)
    plan = answers.erase_plan(log, subject="8", subjects_key=key)
    planned = [(row["action"], row["version"]) for row in plan if row["kind"] == "model"]
    assert [("withdraw", "1"), ("withdraw", "2")] == planned


def test_data_of_the_same_content_held_the_person_too(make, log_of, index, key: Path) -> None:
    """A run that read a copy, and said nothing of persons, learned from them; so did one that read first."""
    events = story(make, {1: index(7), 2: index(8)})
    at = make.base + timedelta(days=9)
    copy = make.used("copy/of.csv", "raw 1", role="train", rows=9)
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    version = make.facet("version", datasetVersion="9")
    model = make.dataset("late.joblib", datasetType=kind, version=version)
    events.append(make.run_event("COMPLETE", at, make.uuid7(at, 3), "train", inputs=[copy], outputs=[model]))
    assert ["1", "9"] == sorted(models(answers.impact(log_of(events), subject="7", subjects_key=key)))


def test_a_reader_counts_whose_data_has_no_fingerprint(make, log_of, index, key: Path) -> None:
    """Who names persons of data that nobody could hash has read them all the same."""
    events = story(make, {1: index(7)})
    del events[0]["inputs"][0]["inputFacets"]
    assert ["1"] == models(answers.impact(log_of(events), subject="7", subjects_key=key))


def test_an_output_that_held_the_person_is_a_beginning(make, log_of, index, key: Path) -> None:
    """The facet of an output counts for what its run wrote, and for no later version of it."""
    events = story(make, {1: None, 2: None})
    events[0]["outputs"][0]["facets"]["modelTrail_subjects"] = index(7)
    assert ["1"] == models(answers.impact(log_of(events), subject="7", subjects_key=key))


def file_of(facet: dict) -> Path:
    from urllib.parse import unquote, urlsplit

    return Path(unquote(urlsplit(facet["index"]["uri"]).path))


def test_an_index_that_cannot_tell_is_told(make, log_of, index, key: Path) -> None:
    """Missing, altered, of another key, no index, a device, another scheme: a row each, exit code 1."""
    raw = {n: index(7, n + 100) for n in range(1, 8)}
    file_of(raw[2]).unlink()
    file_of(raw[3]).write_bytes(bytes(32))
    raw[4] = index(7, key=OTHER)
    file_of(raw[5]).write_bytes(b"odd")
    raw[5]["index"]["sha256"] = subjects.sha256(b"odd")
    raw[6]["index"]["uri"] = "file:///dev/zero"
    raw[7]["index"]["uri"] = "http://127.0.0.1:9/index"
    log = log_of(story(make, raw))
    rows = answers.impact(log, subject="7", subjects_key=key)
    assert ["1"] == models(rows)
    said = ["missing", "altered", "made with the key", "no index", "no file", "http:// is no store"]
    assert len(said) == len(problems(rows))
    assert all(word in problem for word, problem in zip(said, problems(rows), strict=True))
    result = run(log, "--subject", 7, "--subjects-key", key, "--erase-plan", "--json")
    assert 1 == result.return_value
    assert 6 == result.stderr.count("modeltrail: not complete: the index")
    plan = json.loads(result.stdout)
    assert [*["look"] * 6, "withdraw", "delete"] == [row["action"] for row in plan]
    assert not any(word in result.stdout for word in (subjects.pseudonym(KEY, "7").hex(), KEY.decode()))


def test_several_keys_are_tried(make, log_of, index, key: Path, tmp_path: Path) -> None:
    """Where keys were changed each index is asked with its own; without one of them the answer says so."""
    older = tmp_path / "older.key"
    older.write_bytes(OTHER)
    log = log_of(story(make, {1: index(7), 2: index(7, key=OTHER)}))
    result = run(log, "--subject", 7, "--subjects-key", key, "--subjects-key", older, "--json")
    assert 0 == result.return_value
    assert ["1", "2"] == models(json.loads(result.stdout))
    assert 1 == run(log, "--subject", 7, "--subjects-key", older).return_value


def test_the_answer_as_it_was(make, log_of, index, key: Path) -> None:
    """`--as-of`: what had learned from the person by then."""
    log = log_of(story(make, {1: index(7), 3: index(7)}))
    then = make.base + timedelta(days=2)
    with modeltrail_collector.open(log.uri, as_of=then) as past:
        assert ["1"] == models(answers.impact(past, subject="7", subjects_key=key))
    result = run(log, "--subject", 7, "--subjects-key", key, "--as-of", then.isoformat(), "--json")
    assert ["1"] == models(json.loads(result.stdout))


def test_an_index_in_an_object_store_is_read(make, log_of, index, key: Path, s3_uri: str) -> None:
    """A facet may name an index at s3://; one that is not there is told."""
    data = subjects.index({subjects.pseudonym(KEY, "7")})
    obstore.put(from_url(s3_uri, client_options={"allow_http": True}), "a.subjects", data)
    digest = subjects.sha256(data)
    there, gone = (index.of(f"{s3_uri}/{name}.subjects", digest, 1, KEY) for name in ("a", "b"))
    rows = answers.impact(log_of(story(make, {1: there, 2: gone})), subject="7", subjects_key=key)
    assert (["1"], ["it is missing"]) == (models(rows), problems(rows))


def test_a_facet_that_is_none_is_told(make, log_of, index, key: Path) -> None:
    """A facet that breaks its schema is kept by the log: it cannot tell, and that is said."""
    broken = make.facet("modelTrail_subjects", keyColumn="id", index="nowhere")
    rows = answers.impact(log_of(story(make, {1: index(7), 2: broken})), subject="7", subjects_key=key)
    assert ["1"] == models(rows)
    (problem,) = problems(rows)
    assert "its method is None" in problem


def test_a_person_needs_a_key_and_an_index(make, log_of, index, key: Path, tmp_path: Path) -> None:
    """No index in the log, no key, a key of a few bytes, nobody: each says what to do."""
    with pytest.raises(NotFound, match='subjects="COLUMN"'):
        answers.impact(log_of(story(make, {1: None})), subject="7", subjects_key=key)
    log = log_of(story(make, {1: index(7)}))
    with pytest.raises(ConfigError, match="name its file"):
        answers.impact(log, subject="7")
    with pytest.raises(ConfigError, match="is empty"):
        answers.impact(log, subject=" ", subjects_key=key)
    (tmp_path / "short.key").write_text("short")
    with pytest.raises(ConfigError, match="openssl rand"):
        answers.impact(log, subject="7", subjects_key=tmp_path / "short.key")
    wrong = [["--subject", 7], ["--subjects-key", key, "raw/customers.csv"], []]
    wrong += [["--subject", 7, "--subjects-key", key, "raw/customers.csv"]]
    for arguments in wrong:
        assert "UsageError" == type(run(log, *arguments).exception).__name__


def test_a_missing_index_is_no_empty_answer(make, log_of, index, key: Path) -> None:
    """Where no index could be looked into it says which and what to do, and not that nothing learned."""
    log = log_of(story(make, {1: index(7)}))
    next(key.parent.glob("*.subjects")).unlink()
    for more in ([], ["--erase-plan"]):
        found = run(log, "--subject", 7, "--subjects-key", key, *more)
        assert (1, "") == (found.return_value, found.stdout)
        assert "what learned from it is not known" in found.stderr
        assert "it is missing. Put right what is wrong with it" in found.stderr


def test_the_spread_of_a_person_is_printed(make, log_of, index, key: Path) -> None:
    """Without --erase-plan the tree, as for a dataset; for a person in no data that is said."""
    log = log_of(story(make, {1: index(7), 2: index(8)}))
    shown = run(log, "--subject", 7, "--subjects-key", key)
    assert (0, "") == (shown.return_value, shown.stderr)
    assert "subject 7  2 runs, 1 dataset, 1 model version" in shown.stdout
    assert "nothing in the log" in run(log, "--subject", 9, "--subjects-key", key).stdout
    nothing = run(log, "--subject", 9, "--subjects-key", key, "--erase-plan")
    assert (0, "", "No model is known to have learned from it.\n") == (
        nothing.return_value,
        nothing.stdout,
        nothing.stderr,
    )
