"""A version that is a copy of another, as a registry promotes it: what is known of that is known of it."""

from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli.answers import show
from modeltrail_collector.errors import NotFound

REGISTRY = "mlflow://tracking.example"


@pytest.fixture
def promoted(make, log_of):
    """`dev@1` and `dev@2`, each made by a run of its own, and copied to `prod` by who has no file of them."""

    def model(name: str, number: int, *, digest: str | None = None, **facets):
        typed = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
        if digest is not None:
            artifact = make.facet("modelTrail_modelArtifact", digest=digest, uri="s3://store/m")
            facets["outputFacets__modelTrail_modelArtifact"] = artifact
        version = make.facet("version", datasetVersion=str(number))
        return make.dataset(name, namespace=REGISTRY, datasetType=typed, version=version, **facets)

    def registered(name: str, number: int, **known):
        said = make.facet("modelTrail_registration", name=name, version=str(number), action="register")
        return model(f"models/{name}", number, modelTrail_registration=said, **known)

    def events(number: int):
        at = make.base + timedelta(hours=number)
        training = make.facet("modelTrail_training", algorithm="LogisticRegression", framework="sklearn")
        regularisation = [{"name": "C", "value": number, "origin": "explicit"}]
        yield make.run_event(
            *("COMPLETE", at, f"run {number}", "train"),
            inputs=[make.dataset(f"people {number}.csv")],
            outputs=[registered("dev", number, digest=make.digest(f"model {number}"))],
            run_facets={
                "modelTrail_training": training,
                "modelTrail_hyperparameters": make.facet("h", params=regularisation),
            },
        )
        for minutes, (name, source) in enumerate((("stage", "dev"), ("prod", "stage")), 1):
            yield make.run_event(
                *("COMPLETE", at + timedelta(minutes=minutes), f"{name} {number}", f"{name}.register"),
                inputs=[model(f"models/{source}", number)],
                outputs=[registered(name, number)],
            )

    return log_of([event for number in (1, 2) for event in events(number)])


@pytest.mark.parametrize("name", ["stage", "prod"])
def test_a_copy_was_made_by_who_made_the_version_that_it_is_of(promoted, name) -> None:
    """Also a copy of a copy: its run, parameters, data and bytes are known, and who registered it stays."""
    told, of = answers.show(promoted, f"{name}@1"), answers.show(promoted, "dev@1")
    assert ("train", False) == (told["run"]["job_name"], told["run"]["only_registered"])
    assert f"models/{name}" == told["model"]["name"]
    for known in ("digest", "algorithm", "framework"):
        assert of["model"][known] == told["model"][known] is not None
    assert [("C", "1")] == [(row["name"], row["value"]) for row in told["params"]]
    assert ["people 1.csv"] == [row["name"] for row in told["data"]]
    assert name == told["registration"]["name"]
    assert f"{name} 1" == told["model"]["registered_run_id"]
    assert ["people 1.csv"] == [row["name"] for row in answers.reproduce(promoted, f"{name}@1")["data"]]


def test_two_copies_are_compared_as_the_versions_that_they_are_of(promoted) -> None:
    """What changed between these is why the copies differ."""
    found = answers.why(promoted, "prod@1", "prod@2")
    assert ["prod@1", "prod@2"] == [found[side]["label"] for side in ("before", "after")]
    assert ["C"] == [row["name"] for row in found["changes"]["params"]]
    assert not [text for text in found["not_recorded"] if text.startswith("parameters")]


def test_a_version_whose_source_nobody_told_was_made_by_nobody_that_is_known(make, log_of) -> None:
    """A copy of what the log knows nothing of: who registered it is told as that."""
    typed = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
    said = make.facet("modelTrail_registration", name="prod", version="1", action="register")
    event = make.run_event(
        *("COMPLETE", make.base, "run", "prod.register"),
        inputs=[make.dataset("models/dev", namespace=REGISTRY, datasetType=typed)],
        outputs=[make.dataset("models/prod", namespace=REGISTRY, modelTrail_registration=said)],
    )
    assert answers.show(log_of([event]), "prod@1")["run"]["only_registered"]


def test_what_registered_versions_of_which_nobody_saw_a_byte_is_not_what_made_them(make, log_of) -> None:
    """The code of a script that registers is no cause of how its versions differ, and show tells it not."""

    def registered(version: str):
        said = make.facet("modelTrail_registration", name="prod", version=version, action="register")
        model = make.dataset("models/prod", namespace=REGISTRY, modelTrail_registration=said)
        model["facets"]["version"] = make.facet("version", datasetVersion=version)
        code = make.facet("c", commit=version * 40, dirty=False, entryPoint="register.py")
        at = make.base + timedelta(days=int(version))
        return make.run_event(
            "COMPLETE", at, version, "register", outputs=[model], run_facets={"modelTrail_codeState": code}
        )

    log = log_of([registered("1"), registered("2")])
    assert answers.show(log, "prod@2")["run"]["only_registered"]
    assert [] == [one for one in answers.why(log, "prod@1", "prod@2")["causes"] if one["kind"] == "code"]


@pytest.fixture
def served(make, log_of):
    """`churn@1` and `churn@2`, copied in turn to a server's file that nobody told of, and loaded there."""
    events = []
    for number in (1, 2):
        at = make.base + timedelta(days=number)
        events += make.train(number, at, features="f", strength=number)
        copy = make.used("/srv/model.joblib", f"model {number}", role="other", rows=0)
        copy["facets"]["datasetType"] = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
        events.append(
            make.run_event("COMPLETE", at + timedelta(hours=1), f"s {number}", "serve", inputs=[copy])
        )
    return log_of(events)


def test_a_file_that_a_model_was_copied_to_is_the_version_that_was_read_there(make, served) -> None:
    """Whatever is asked of a version can be asked of the file that it was loaded from: of the last one."""
    assert "2" == answers.reproduce(served, "/srv/model.joblib")["model"]["version"]
    assert (
        "1"
        == answers.reproduce(served, f"/srv/model.joblib@{make.digest('model 1')[:8]}")["model"]["version"]
    )
    assert "churn@2" == answers.why(served, "churn@1", "/srv/model.joblib")["after"]["label"]
    with pytest.raises(NotFound, match="No model is called"):
        answers.reproduce(served, "/srv/model.joblib@feed")


def test_of_a_file_that_a_model_was_copied_to_it_is_told_which_one(served) -> None:
    """No run wrote it by that name, but it did not come from nowhere."""
    told = answers.show(served, "/srv/model.joblib")
    assert ([], "2", "churn") == (
        told["written_by"], told["copy_of"]["version"], told["copy_of"]["registered_name"]
    )  # fmt: skip
    said = CliRunner().invoke(show, ["/srv/model.joblib", "--log", served.uri], catch_exceptions=False).output
    assert "the same bytes as\n  churn@2" in said
