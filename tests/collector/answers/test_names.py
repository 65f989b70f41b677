"""What a user calls a thing -> the thing."""

from datetime import datetime, timedelta

import pytest

import modeltrail_collector
from modeltrail_collector import answers
from modeltrail_collector.errors import NotFound
from modeltrail_collector.reports.report import report


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("churn@3", "models/churn", "3"),
        ("churn", "models/churn", "3"),
        ("churn@latest", "models/churn", "3"),
        ("churn@candidate", "models/churn", "3"),
        ("models/churn@1", "models/churn", "1"),
        ("modeltrail://registry/models/churn@2", "models/churn", "2"),
        ("churn.joblib", "/data/churn/models/churn.joblib", None),
        ("models/churn.joblib", "/data/churn/models/churn.joblib", None),
        ("/data/churn/models/churn.joblib", "/data/churn/models/churn.joblib", None),
    ],
)
def test_names_of_a_model(churn, text, name, version) -> None:
    """A model is found by name, registered name, version, alias, suffix and path; else the newest."""
    found = answers.show(churn, text)["model"]
    assert name == found["name"]
    assert version in (None, found["version"])


def test_an_alias_is_of_the_version_that_it_was_given_last(churn) -> None:
    """What was the candidate is none any more, once another version is; before that it was."""
    rows = [row for row in answers.models(churn) if row["registered_name"]]
    assert {"1": [], "2": [], "3": ["candidate"]} == {row["version"]: row["aliases"] for row in rows}
    third = next(datetime.fromisoformat(row["created_at"]) for row in rows if row["version"] == "3")
    with modeltrail_collector.open(churn.uri, as_of=third - timedelta(hours=1)) as before:
        held = {row["version"]: row["aliases"] for row in answers.models(before) if row["registered_name"]}
    assert {"1": [], "2": ["candidate"]} == held


def test_a_version_is_what_is_called_so(make, log_of) -> None:
    """Its name goes before `latest` and how another's digest begins, and may hold an `@` as a model's may."""

    def event(number: int, name: str, version: str, digest: str):
        artifact = make.facet("modelTrail_modelArtifact", digest=digest + make.digest(f"{number}"))
        said = make.facet("r", name=name, version=version)
        model = make.dataset(
            f"models/{name}",
            version=make.facet("version", datasetVersion=version),
            modelTrail_registration=said,
            outputFacets__modelTrail_modelArtifact=artifact,
        )
        at = make.base + timedelta(minutes=number)
        return make.run_event("COMPLETE", at, f"run {number}", "register", outputs=[model])

    called = [("churn", "2026"), ("churn", "latest"), ("churn", "v@2"), ("a@b", "12"), ("churn", "9")]
    called += [("x@y", "v@2"), ("x@y@z", "3@4@5")]
    log = log_of([event(n, *one, "2026" if one[1] == "9" else "") for n, one in enumerate(called)])
    for name, version in called:
        assert version == answers.show(log, f"{name}@{version}")["model"]["version"]
        assert [] == answers.impact(log, f"{name}@{version}")
    assert "9" == answers.show(log, "churn")["model"]["version"]
    assert "9" == answers.show(log, f"churn@2026{make.digest('4')[:4]}")["model"]["version"]
    assert "12" == answers.show(log, "a@b")["model"]["version"]


def test_what_a_registry_deleted_is_not_the_newest(make, log_of) -> None:
    """The newest is that of those that are there, at a moment of those there then; of none it is the last."""
    at = make.base + timedelta(days=9)
    log = log_of([*make.story(), make.in_registry(3, at, "delete")])
    for name, version in (("churn", "2"), ("churn@latest", "2"), ("models/churn", "2"), ("churn@3", "3")):
        assert version == answers.show(log, name)["model"]["version"]
    assert "2" == answers.reproduce(log, "churn")["model"]["version"]
    with modeltrail_collector.open(log.uri, as_of=at - timedelta(hours=1)) as before:
        assert "3" == answers.show(before, "churn")["model"]["version"]
    log = log_of([*make.story(), *(make.in_registry(number, at, "delete") for number in (1, 2, 3))])
    assert "3" == answers.show(log, "churn")["model"]["version"]


def test_a_stage_is_a_name_of_the_newest_version_in_it(make, log_of) -> None:
    """A stage is asked for as an alias is, until the version leaves it; `show` tells it too."""
    kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")

    def event(number: int, version: str, **said):
        facet = make.facet("r", name="churn", version=version, **said)
        model = make.dataset("churn", datasetType=kind, modelTrail_registration=facet)
        at = make.base + timedelta(minutes=number)
        return make.run_event("COMPLETE", at, f"run {number}", "churn.register", outputs=[model])

    staged = [event(1, "1"), event(2, "2"), event(3, "1", stage="Staging"), event(4, "2", stage="Staging")]
    log = log_of(staged)
    assert "2" == answers.show(log, "churn@Staging")["model"]["version"]
    log = log_of([*staged, event(5, "2", stage="Production", aliases=["champion"])])
    assert "1" == answers.show(log, "churn@Staging")["model"]["version"]
    for name in ("churn@Production", "churn@champion", "churn@2"):
        told = answers.show(log, name)
        assert ("2", ["champion", "Production"]) == (
            told["model"]["version"],
            told["registration"]["aliases"],
        )
    log = log_of([*staged, event(5, "2", aliases=[])])
    assert answers.show(log, "churn@2")["model"]["aliases"] is None


def test_a_model_by_fingerprint(churn, make) -> None:
    """A model is found by its digest or its beginning, and a version by the beginning of its digest."""
    digest = make.digest("model 2")
    assert "2" == answers.show(churn, digest)["model"]["version"]
    assert "2" == answers.show(churn, digest[:6])["model"]["version"]
    assert digest == answers.show(churn, f"churn.joblib@{digest[:5]}")["model"]["digest"]


def test_old_bytes_that_were_written_again_are_the_newest(make, log_of) -> None:
    """A file is the version that was written last, also of bytes that it had before."""
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    log = log_of(
        make.run_event(
            "COMPLETE", make.base + timedelta(hours=n), f"{n:06}", "train",
            outputs=[make.dataset("/d/m.joblib", datasetType=kind, version=make.facet(
                "version", datasetVersion=make.digest(content)
            ))],
        )
        for n, content in enumerate(("first", "second", "third", "first"))
    )  # fmt: skip
    first, third = make.digest("first"), make.digest("third")
    for asked in ("m.joblib", "/d/m.joblib", "m.joblib@latest", first[:8]):
        assert first == answers.show(log, asked)["model"]["digest"]
    assert first == answers.trace(log, "m.joblib")["fingerprint"]
    assert third == answers.show(log, third[:8])["model"]["digest"]
    assert third == answers.why(log, "m.joblib")["before"]["digest"]


def test_a_path_from_here(churn, make, monkeypatch, tmp_path) -> None:
    """A relative path is looked up from the current directory."""
    monkeypatch.chdir("/")
    assert (
        "/data/churn/features.parquet" == answers.trace(churn, "data/churn/../churn/features.parquet")["name"]
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chrun@3", "Nearest: churn"),
        ("churn@9", "It has: 3, 2, 1"),
        ("joblib", "churn"),
        ("", "No model"),
        ("@", "No model"),
    ],
)
def test_unknown_names_say_what_is_near(churn, text, said) -> None:
    """An unknown name or version ends with exit code 1 and the nearest known ones."""
    with pytest.raises(NotFound, match=said) as error:
        answers.show(churn, text)
    assert 1 == error.value.exit_code


def test_a_name_of_two_things_is_refused(make, log_of) -> None:
    """A suffix that fits two models is refused, and both are named."""
    events = []
    for number, folder in ((1, "a"), (2, "b")):
        trained = make.train(number, make.base, features="f", strength=1.0)
        trained[1]["outputs"] = trained[1]["outputs"][:1]
        trained[1]["outputs"][0]["name"] = f"/{folder}/model.joblib"
        events += trained
    with pytest.raises(NotFound, match=r"/a/model\.joblib.*/b/model\.joblib"):
        answers.show(log_of(events), "model.joblib")


def test_unknown_datasets_say_what_is_near(churn) -> None:
    """A dataset nobody named ends with the nearest names."""
    with pytest.raises(NotFound, match=r"features\.parquet"):
        answers.trace(churn, "featurs.parquet")


def test_a_name_in_full_is_no_end_of_another(make, log_of) -> None:
    """What is called so in full is meant, not what ends so; where it lacks the version nothing else is."""
    events = []
    for number, name in ((1, "m"), (2, "deep/m")):
        trained = make.train(number, make.base, features="f", strength=1.0)
        trained[1]["outputs"] = trained[1]["outputs"][:1]
        trained[1]["outputs"][0]["name"] = name
        events += trained
    log = log_of(events)
    assert "m" == answers.show(log, "m")["model"]["name"]
    other = answers.show(log, "deep/m")["model"]["version"]
    with pytest.raises(NotFound, match="has no version"):
        answers.show(log, f"m@{other}")


def test_a_model_file_is_found_without_its_ending(make, log_of) -> None:
    """Nobody named the model in churn.joblib: `churn` finds it, unless something else is called so."""

    def called(*names: str):
        return log_of(
            make.run_event("COMPLETE", make.base, f"run {name}", "train", outputs=[model(name)])
            for name in names
        )

    def model(name: str):
        kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
        return make.dataset(name, datasetType=kind, version=make.facet("v", datasetVersion="5" * 64))

    log = called("/w/models/churn.joblib", "/w/churned.joblib", "/w/v1.5")
    for text in ("churn", "models/churn", "churn@55555"):
        assert "/w/models/churn.joblib" == answers.show(log, text)["model"]["name"]
    assert "/w/models/churn.joblib" == answers.trace(log, "churn")["name"]
    with pytest.raises(NotFound, match="has no version '7'"):
        answers.show(log, "churn@7")
    with pytest.raises(NotFound, match="is called 'v1'"):
        answers.show(log, "v1")
    with pytest.raises(NotFound, match="'churn' is not one"):
        answers.show(called("/a/churn.joblib", "/b/churn.onnx"), "churn")
    assert "/a/churn" == answers.show(called("/a/churn", "/b/churn.onnx"), "churn")["model"]["name"]


def test_a_dataset_comes_before_the_file_of_a_model_without_its_ending(make, log_of) -> None:
    """`trace churn` is of the dataset churn, although a model lies in churn.joblib."""
    kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
    made = [make.dataset("/w/churn.joblib", datasetType=kind), make.dataset("/lake/churn")]
    log = log_of([make.run_event("COMPLETE", make.base, "r", "train", outputs=made)])
    assert "/lake/churn" == answers.trace(log, "churn")["name"]


@pytest.fixture
def by_file(make, log_of):
    """A log in which a model is no more than a file, of which a run made predictions."""
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    model = make.dataset(
        "/d/models/churn.joblib",
        datasetType=kind,
        version=make.facet("version", datasetVersion=make.digest("m")),
    )
    return log_of([
        make.run_event("COMPLETE", make.base, "run 1", "train", outputs=[model]),
        make.run_event(
            "COMPLETE", make.base + timedelta(hours=1), "run 2", "predict",
            inputs=[model], outputs=[make.dataset("/d/scores.csv")],
        ),
    ])  # fmt: skip


@pytest.mark.parametrize("ask", ["show", "trace", "impact", "reproduce", "why", "report"])
@pytest.mark.parametrize("at", ["", "@latest", "@digest"])
def test_each_question_knows_a_model_by_the_stem_of_its_file(by_file, make, ask, at) -> None:
    """`churn` is models/churn.joblib for every question, where nothing else is called so."""
    text = "churn" + at.replace("digest", make.digest("m")[:8])
    if ask == "why":
        with pytest.raises(NotFound, match=r"churn\.joblib@.* is the first of its name"):
            answers.why(by_file, text)
    elif ask == "report":
        assert (
            "churn.joblib"
            in report(by_file, text, kind="audit", made_at="2026-03-10T12:00:00Z", format_="md").text
        )
    elif ask == "impact":
        assert ["predict"] == [
            row["job_name"] for row in answers.impact(by_file, text) if row["kind"] == "run"
        ]
    else:
        told = getattr(answers, ask)(by_file, text)
        assert "/d/models/churn.joblib" == told.get("model", told)["name"]


def test_impact_knows_the_version_that_has_an_alias(churn) -> None:
    """What came of a model's version is asked for by its alias too."""
    assert answers.impact(churn, "churn@3") == answers.impact(churn, "churn@candidate")


def test_a_model_is_found_by_the_file_of_its_version(make, log_of) -> None:
    """The file that a registered model was put into is that version, in each question and with no other."""
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")

    def event(number: int):
        file = {"namespace": "file", "name": f"/out/churn-{number}.joblib", "type": "LOCATION"}
        model = make.dataset(
            "models/churn",
            namespace="modeltrail://registry",
            datasetType=kind,
            symlinks=make.facet("symlinks", identifiers=[file]),
            outputFacets__modelTrail_modelArtifact=make.facet("a", digest=make.digest(f"bytes {number}")),
        )
        at = make.base + timedelta(minutes=number)
        return make.run_event("COMPLETE", at, f"run {number}", "train", outputs=[model])

    log = log_of([event(1), event(2)])
    for number in (1, 2):
        path = f"/out/churn-{number}.joblib"
        shown = answers.show(log, path)["model"]
        assert ("models/churn", make.digest(f"bytes {number}")) == (shown["name"], shown["digest"])
        assert shown["digest"] == answers.trace(log, path)["fingerprint"]
    with pytest.raises(NotFound, match="churn-3"):
        answers.show(log, "/out/churn-3.joblib")
