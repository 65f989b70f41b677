"""A run that speaks of several versions of one name: each of them is told, with what was said of it."""

from datetime import timedelta

import pytest

from modeltrail_collector import answers

REGISTRY = "modeltrail://registry"
TABLE = {"namespace": "warehouse://w", "name": "db.customers"}


@pytest.fixture(scope="session")
def version(make):
    """A version of the model churn as an output, or as an input where nothing was registered."""

    def version(number: str, content: str | None = None, *, alias: str | None = None, score=None):
        model = make.dataset(
            "models/churn",
            namespace=REGISTRY,
            datasetType=make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL"),
            version=make.facet("version", datasetVersion=number),
        )
        if alias is not None:
            model["facets"]["modelTrail_registration"] = make.facet(
                "r", name="churn", version=number, aliases=[alias], action="register"
            )
        if content is not None:
            digest = f"sha256:{make.digest(content)}"
            model["outputFacets"] = {"modelTrail_modelArtifact": make.facet("a", digest=digest, written=True)}
        if score is not None:
            judged = make.facet(
                "e",
                modelVersion=number,
                metrics=[{"name": "auc", "value": score}],
                dataset={"name": "db.test"},
            )
            model["inputFacets"] = {"modelTrail_evaluation": judged}
        return model

    return version


@pytest.fixture(scope="session")
def run(make):
    """The event that a run of a job is complete, so many hours after the first."""

    def run(hours: int, job: str, inputs=(), outputs=(), kind: str = "COMPLETE"):
        at = make.base + timedelta(hours=hours)
        return make.run_event(kind, at, make.uuid7(make.base, hours), job, inputs=inputs, outputs=outputs)

    return run


def customers(make, number: str, rows: int):
    """A version of a table, of so many rows."""
    return make.dataset(
        TABLE["name"],
        namespace=TABLE["namespace"],
        version=make.facet("version", datasetVersion=number),
        inputFacets__modelTrail_dataUse=make.facet(
            "u", role="train", fingerprint={"algorithm": "none", "digest": "", "scope": "none", "rows": rows}
        ),
        inputFacets__inputStatistics=make.facet("i", rowCount=rows),
    )


@pytest.fixture(scope="session")
def told(make, log_of, version, run):
    """Two versions that one run made and registered, read, compared and given aliases by others."""
    return log_of([
        run(0, "export", outputs=[customers(make, "7", 70)]),
        run(1, "export", outputs=[customers(make, "8", 80)]) | {"run": {"runId": make.uuid7(make.base, 91)}},
        run(2, "train", [customers(make, "7", 70), customers(make, "8", 80)], [
            version("1", "one", alias="old"), version("2", "two", alias="champion"),
        ]),
        run(3, "compare", [version("1", score=0.7), version("2", score=0.8)]),
        run(4, "alias", [], [version("1", alias="fallback"), version("2", alias="blue")]),
    ])  # fmt: skip


def test_each_version_has_its_row(told, make) -> None:
    """Versions that one run registered are both there, with their own bytes, run and aliases."""
    rows = {row["version"]: row for row in answers.models(told)}
    assert {"1": ["fallback", "old"], "2": ["blue", "champion"]} == {
        number: row["aliases"] for number, row in rows.items()
    }
    assert {"1": make.digest("one"), "2": make.digest("two")} == {
        number: row["digest"] for number, row in rows.items()
    }
    assert {make.uuid7(make.base, 2)} == {row["run_id"] for row in rows.values()}


def test_each_version_is_shown_with_what_is_its_own(told, make) -> None:
    """`show` tells the artifact, registration and score of the version that is asked for, by alias too."""
    for asked, content, score in (("churn@1", "one", 0.7), ("churn@champion", "two", 0.8)):
        shown = answers.show(told, asked)
        assert make.digest(content) == shown["artifact"]["digest"].removeprefix("sha256:")
        assert [score] == [row["value"] for row in shown["evaluations"]]
        assert shown["registration"]["version"] == shown["model"]["version"]
        assert 2 == shown["run"]["models"]


def test_each_version_that_was_read_is_told(told, make) -> None:
    """A run that read two versions of a table read both: in `show`, and in `trace` each has its writer."""
    assert [("7", 70), ("8", 80)] == [
        (row["version"], row["rows"]) for row in answers.show(told, "churn@1")["data"]
    ]
    inputs = answers.trace(told, "churn@2")["inputs"]
    assert [("7", make.uuid7(make.base, 0)), ("8", make.uuid7(make.base, 91))] == [
        (node["version"], node["run"]["run_id"]) for node in inputs
    ]


@pytest.mark.parametrize("number", ["7", "8"])
def test_what_learned_from_either_version_is_found(told, make, number) -> None:
    """`impact` of each of two versions that one run read finds that run, and both versions that it made."""
    found = answers.impact(told, f"{TABLE['name']}@{number}")
    assert [make.uuid7(make.base, 2)] == [
        row["run_id"] for row in found if row["kind"] == "run" and row["depth"] == 1
    ]
    made = {(row["version"], row["fingerprint"]) for row in found if row["kind"] == "model"}
    assert {("1", make.digest("one")), ("2", make.digest("two"))} == made


@pytest.mark.parametrize("number", ["1", "2"])
def test_who_read_either_version_is_found(told, make, number) -> None:
    """`impact` of each of two model versions finds the run that read both."""
    found = answers.impact(told, f"churn@{number}")
    assert make.uuid7(make.base, 3) in {row["run_id"] for row in found}


def test_both_are_compared(told) -> None:
    """`why` holds the versions of one run against each other: other scores, the same data."""
    (figure,) = answers.why(told, "churn@1", "churn@2")["figures"]
    assert (0.7, 0.8) == (figure["before"], figure["after"])


@pytest.mark.parametrize("number", [1, 2])
def test_each_version_is_in_force_by_itself(make, log_of, version, run, number) -> None:
    """`as-of` tells of the deployed version the run that made it and the versions that it read."""
    inputs = [customers(make, "7", 70), customers(make, "8", 80)]
    made = run(0, "train", inputs, [version("1", "one", alias="a"), version("2", "two", alias="b")])
    (row,) = answers.as_of(log_of([made, *make.deploy(number, make.base + timedelta(hours=1))]))
    assert (make.uuid7(make.base, 0), ["7", "8"]) == (
        row["run"]["run_id"], [data["version"] for data in row["run"]["data"]],
    )  # fmt: skip


def test_versions_that_are_told_one_after_the_other(make, log_of, version, run) -> None:
    """A run that registers one version in one event and another one in the next has registered both."""
    log = log_of([
        run(1, "train", [], [version("1", "one", alias="old")], "RUNNING"),
        run(1, "train", [], [version("2", "two", alias="new")]) | {"eventTime": "2026-09-02T00:00:00Z"},
    ])  # fmt: skip
    rows = {row["version"]: (row["digest"], row["aliases"]) for row in answers.models(log)}
    assert {"1": (make.digest("one"), ["old"]), "2": (make.digest("two"), ["new"])} == rows
