"""What became of data that was written: renamed, altered, dropped, or not written by a run that failed."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli.answers import trace
from modeltrail_collector.reports.report import report


@pytest.fixture
def done(make):
    """Events of runs, a minute after each other, each with what it read and wrote: names or datasets."""

    def of(*runs: tuple[str, Sequence, Sequence], failed: Sequence[str] = ()) -> list[dict]:
        return [
            make.run_event(
                "FAIL" if second and job in failed else kind,
                make.base + timedelta(minutes=number, seconds=second), job, job,
                inputs=[make.dataset(each) if isinstance(each, str) else each for each in read],
                outputs=[make.dataset(each) if isinstance(each, str) else each for each in wrote],
            )
            for number, (job, read, wrote) in enumerate(runs)
            for second, kind in enumerate(("START", "COMPLETE"))
        ]  # fmt: skip

    return of


@pytest.fixture
def changed(make):
    """A dataset of which the run says what happened to it, and what it was called before."""

    def of(name: str, state: str, before: str | None = None, **more) -> dict:
        was = {"previousIdentifier": {"namespace": "file", "name": before}} if before else {}
        facet = make.facet("lifecycleStateChange", lifecycleStateChange=state, **was)
        return make.dataset(name, lifecycleStateChange=facet, **more)

    return of


def path(node) -> list:
    """A tree as nested lists: name, run, inputs."""
    return [node["name"], node["run"] and node["run"]["run_id"], *map(path, node["inputs"])]


def reached(log, name: str) -> set[str]:
    """The datasets that learned from one."""
    return {row["name"] for row in answers.impact(log, name) if row["kind"] == "dataset"}


BUILT = ["d", "build", ["raw", None]]


def test_what_was_renamed_came_of_what_had_its_old_name(done, changed, log_of) -> None:
    """The way back leads through the run that renamed it, and so does the way from the raw data."""
    log = log_of(
        done(("build", ["raw"], ["d"]), ("swap", [], [changed("e", "RENAME", "d")]), ("train", ["e"], ["m"]))
    )
    assert ["m", "train", ["e", "swap", BUILT]] == path(answers.trace(log, "m"))
    assert {"d", "e", "m"} == reached(log, "raw")
    assert {"e", "m"} == reached(log, "d")


@pytest.mark.parametrize("told", [[], ["d"]], ids=["", "the old name is read"])
def test_one_table_takes_the_place_of_another(done, changed, log_of, told) -> None:
    """Each of two that one run renamed came of its own, whether it lists what it read or not."""
    both = [changed("old", "RENAME", "d"), changed("d", "RENAME", "new")]
    log = log_of(
        done(
            ("build", ["raw"], ["d"]), ("again", ["fresh"], ["new"]), ("swap", told, both),
            ("train", ["d"], ["m"]), ("check", ["old"], ["n"]),
        )
    )  # fmt: skip
    assert ["m", "train", ["d", "swap", ["new", "again", ["fresh", None]]]] == path(answers.trace(log, "m"))
    assert ["n", "check", ["old", "swap", BUILT]] == path(answers.trace(log, "n"))
    assert {"d", "old", "n"} == reached(log, "raw")
    assert {"new", "d", "m"} == reached(log, "fresh")


def test_what_a_run_wrote_and_renamed_it_made_of_its_inputs(done, changed, log_of) -> None:
    """A table that is written under a passing name; what the run wrote beside it did not come of that."""
    log = log_of(done(("build", ["raw"], ["tmp", changed("d", "RENAME", "tmp")]), ("train", ["d"], ["m"])))
    assert ["m", "train", BUILT] == path(answers.trace(log, "m"))
    other = log_of(done(("build", ["raw"], ["c", changed("d", "RENAME", "b")]), ("train", ["c"], ["m"])))
    assert ["m", "train", ["c", "build", ["raw", None]]] == path(answers.trace(other, "m"))


def test_what_was_altered_holds_what_was_written_before(done, changed, log_of) -> None:
    """A column that is added to a table cuts no way; a run that read others to alter it made it of these."""
    log = log_of(
        done(("build", ["raw"], ["d"]), ("alter", [], [changed("d", "ALTER")]), ("train", ["d"], ["m"]))
    )
    assert ["m", "train", ["d", "alter", BUILT]] == path(answers.trace(log, "m"))
    assert {"d", "m"} == reached(log, "raw")
    other = log_of(done(("build", ["raw"], [changed("d", "ALTER")]), ("train", ["d"], ["m"])))
    assert ["m", "train", BUILT] == path(answers.trace(other, "m"))


def test_who_dropped_data_did_not_write_it(make, done, changed, log_of) -> None:
    """Neither a run that removes a table, nor one that removes the folder of what was read, is its writer."""
    log = log_of(
        done(
            ("build", ["raw"], ["d"]), ("clean", ["raw"], [changed("d", "DROP"), changed("f/x", "DROP")]),
            ("train", ["d", "f"], ["m"]),
        )
    )  # fmt: skip
    assert ["m", "train", BUILT, ["f", None]] == path(answers.trace(log, "m"))
    assert {"d", "m"} == reached(log, "raw")
    story = answers.show(log, "d")
    assert ["build"] == [run["run_id"] for run in story["written_by"]]
    assert ["lifecycleStateChange"] == [facet["key"] for facet in story["facets"]]
    counted = {"outputFacets__outputStatistics": make.facet("outputStatistics", rowCount=3)}
    wrote = log_of(done(("build", ["raw"], [changed("d", "DROP", **counted)]), ("train", ["d"], ["m"])))
    assert ["m", "train", BUILT] == path(answers.trace(wrote, "m"))


def test_who_dropped_a_model_made_no_version_of_it(make, done, changed, log_of) -> None:
    """The versions are those that were made, and the last of them is the newest."""
    kind = {"datasetType": make.facet("datasetType", datasetType="MODEL")}
    made = make.dataset("c", **kind, version=make.facet("version", datasetVersion="7"))
    log = log_of(done(("train", ["d"], [made]), ("clean", [], [changed("c", "DROP", **kind)])))
    assert [("c", "7")] == [(row["name"], row["version"]) for row in answers.models(log)]
    assert ["c", "train", ["d", None]] == path(answers.trace(log, "c"))


def test_a_run_that_failed_may_have_left_all_as_it_was(make, done, log_of) -> None:
    """What was written before, up to a run that did not fail, is told beside it, and learned from too."""
    wrote = [
        ("first", ["a"], ["d"]),
        ("build", ["raw"], ["d"]),
        ("again", ["b"], ["d"]),
        ("then", ["c"], ["d"]),
    ]
    log = log_of(done(*wrote, ("train", ["d"], ["m"]), failed=["again", "then"]))
    tree = answers.trace(log, "m")
    assert ["m", "train", ["d", "then", ["c", None]], ["d", "again", ["b", None]], BUILT] == path(tree)
    assert [True, True, False] == [node["unsure"] for node in tree["inputs"]]
    assert [True, True, True, False] == ["m" in reached(log, name) for name in ("raw", "b", "c", "a")]
    told = CliRunner().invoke(trace, ["m", "--log", log.uri]).output
    assert 2 == told.count("its run failed and may not have written it")
    assert path(answers.trace(log, "d")) == ["d", "then", ["c", None]]
    only = log_of(done(("build", ["raw"], ["d"]), ("train", ["d"], ["m"]), failed=["build"]))
    assert ["m", "train", BUILT] == path(answers.trace(only, "m"))


def test_what_is_forbidden_may_have_come_by_a_run_that_failed(make, done, log_of, tmp_path) -> None:
    """The finding says so, unless there is a way that is sure."""
    (rules := tmp_path / "rules.toml").write_text(
        "".join(f'[[rule]]\nname = "{n}"\nkind = "forbidden"\ndataset = "{n}"\n' for n in ("a", "b", "c"))
    )
    model = make.dataset("m", datasetType=make.facet("datasetType", datasetType="MODEL"))
    runs = [("build", ["a", "c"], ["d"]), ("again", ["b", "c"], ["d"]), ("train", ["d"], [model])]
    log = log_of(done(*runs, failed=["again"]))
    unsure = ", by a run that failed and may not have written it"
    found = {one.rule: one.actual for one in answers.alert(log, answers.read_rules(rules))}
    assert {"a": "a through 1 more", "b": f"b through 1 more{unsure}", "c": "c through 1 more"} == found


def test_a_report_says_of_a_run_that_failed_that_it_may_have_made_data(make, done, log_of) -> None:
    """Beside it stands the run that made the data before."""
    model = make.dataset("m", datasetType=make.facet("datasetType", datasetType="MODEL"))
    runs = [("build", ["a"], ["d"]), ("again", ["b"], ["d"]), ("train", ["d"], [model])]
    text = report(log_of(done(*runs, failed=["again"])), "m", kind="audit", format_="md").text
    for line in ("build (made data)", "again (may have made data)", "train (made the model)"):
        assert f". {line}\n" in text


def test_a_run_that_failed_after_it_wrote_is_the_writer(make, done, log_of) -> None:
    """It says of which version, or with which content, it left the data."""
    version = make.dataset("d", version=make.facet("version", datasetVersion="7"))
    runs = [("first", ["a"], ["d"]), ("build", ["raw"], [version]), ("train", ["d"], ["m"])]
    tree = answers.trace(log_of(done(*runs, failed=["build"])), "m")
    assert (["m", "train", BUILT], False) == (path(tree), tree["inputs"][0]["unsure"])
