"""What `why` says of a library that changed, of its defaults, and of the diff of the code."""

import copy
from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli.why import why as command

PYTHON = {"python": {"version": "3.11.9"}, "capture": "observed"}
BEFORE = {"scikit-learn": "1.9.1", "duckdb": "2.0.1", "lightgbm": "4.7.0", "zope": "1.0", "numpy": "2.4.6"}
AFTER = {"scikit-learn": "1.7.2", "zope": "1.1", "numpy": "2.4.5"}
PARAMS = "modelTrail_hyperparameters"


@pytest.fixture
def asked(make, log_of):
    """The answer of two trainings in these environments, with these defaults of each."""

    def asked(before: dict, after: dict, params=(), imported: list | None = None, variables=()) -> dict:
        events = []
        for number, packages in ((1, before), (2, after)):
            at = make.base + timedelta(days=number)
            made = copy.deepcopy(make.train(number, at, features="f", strength=1.0))
            facets = made[1]["run"]["facets"]
            facets["modelTrail_codeState"] |= {"commit": "1" * 40, "dirty": False}
            told = [{"name": name, "version": version} for name, version in packages.items()]
            facets["modelTrail_environment"] = make.facet("modelTrail_environment", packages=told, **PYTHON)
            facets["modelTrail_environment"] |= {"imported": imported} if imported else {}
            if variables:
                entries = [{"name": name, "value": value} for name, value in variables[number - 1].items()]
                made[0]["run"]["facets"]["environmentVariables"] = make.facet(
                    "environmentVariables", environmentVariables=entries
                )
            facets["modelTrail_training"] |= {"framework": "sklearn"}
            facets["modelTrail_featureTransformations"]["steps"] = []
            facets[PARAMS]["params"] = [
                {"name": name, "value": values[number - 1], "origin": "default", "type": "object"}
                for name, *values in params
            ]
            events += made
        return answers.why(log_of(events), "churn@2")

    return asked


def told(answer) -> list[tuple[str, str, str]]:
    return [(one["strength"], one["kind"], one["subject"]) for one in answer["causes"]]


def test_the_framework_comes_first_and_what_came_or_went_last(asked) -> None:
    """What computes is the framework, then other versions; a package that one side did without is neither."""
    assert [
        ("possible", "environment", "scikit-learn 1.9.1 → 1.7.2, numpy 2.4.6 → 2.4.5"),
        ("unlikely", "environment", "zope 1.0 → 1.1, duckdb 2.0.1 → not there, lightgbm 4.7.0 → not there"),
    ] == told(asked(BEFORE, AFTER))


def test_environment_variables_that_differ_are_told(asked) -> None:
    """Threads and kernels may move a result; where modules are found, and the language, are the machine's."""
    was = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "LANG": "C"}
    now = {"OMP_NUM_THREADS": "4", "PYTHONHASHSEED": "0", "PYTHONPATH": "/srv"}
    answer = asked(BEFORE, BEFORE, variables=(was, now))
    assert [
        ("possible", "environment", "OMP_NUM_THREADS 1 → 4"),
        ("unlikely", "environment", "LANG C → not there, PYTHONPATH not there → /srv"),
    ] == told(answer)
    acting, other = (one["evidence"][0]["sources"] for one in answer["causes"])
    assert all(mine["offset"] < theirs["offset"] for mine, theirs in zip(acting, other, strict=True))
    assert {("variable", "LANG"), ("variable", "OMP_NUM_THREADS"), ("variable", "PYTHONPATH")} == {
        (row["kind"], row["name"]) for row in answer["changes"]["environment"]
    }
    assert not any(line.startswith("environment") for line in answer["unchanged"])
    alike = asked(BEFORE, BEFORE, variables=(was, was))
    assert ([], ["environment: all the same"]) == (
        told(alike),
        [line for line in alike["unchanged"] if line.startswith("environment")],
    )


def test_what_no_run_imported_does_not_compute(asked) -> None:
    """Of other versions those that a run imported are what computes, and so is what came and was imported."""
    before = {"scikit-learn": "1.9.1", "numpy": "2.4.6", "duckdb": "2.0.1", "acme": "1.0", "zope": "1.0"}
    after = {"scikit-learn": "1.9.1", "numpy": "2.4.5", "duckdb": "2.1.0", "acme": "1.1", "zope": "1.1"}
    names = ["acme", "numpy", "pyarrow", "sklearn"]
    answer = asked(before, after | {"pyarrow": "26.0.1"}, imported=names)
    assert [
        ("possible", "environment", "numpy 2.4.6 → 2.4.5, pyarrow not there → 26.0.1"),
        ("unlikely", "environment", "acme 1.0 → 1.1, duckdb 2.0.1 → 2.1.0, zope 1.0 → 1.1"),
    ] == told(answer)


def test_a_framework_that_came_computes(asked) -> None:
    """The model's own framework is what computes, also where the other side had none."""
    cause = asked({}, {"scikit-learn": "1.9.1"})["causes"][0]
    assert "another version of what computes" == cause["what"]


def test_defaults_that_a_library_renamed_stand_below_it(asked) -> None:
    """Values that say that nothing is set are told with the library, and are no causes of their own."""
    renamed = [("l1_ratio", 0.0, None), ("penalty", "deprecated", "l2"), ("same", 1, 1)]
    answer = asked({"scikit-learn": "1.9.1"}, {"scikit-learn": "1.7.2"}, params=renamed)
    assert [("possible", "environment"), ("unlikely", "parameters"), ("unlikely", "parameters")] == [
        one[:2] for one in told(answer)
    ]
    assert "defaults that differ: l1_ratio 0.0 → null, penalty deprecated → l2" in [
        entry["text"] for entry in answer["causes"][0]["evidence"]
    ]


def test_another_default_makes_the_library_a_strong_cause(asked) -> None:
    """Ten trees or a hundred is a strong cause, which is the library's."""
    trees = [("n_estimators", 10, 100)]
    answer = asked({"scikit-learn": "0.21.3"}, {"scikit-learn": "0.22"}, params=trees)
    assert ("strong", "environment", "scikit-learn 0.21.3 → 0.22") == told(answer)[0]


def test_a_default_of_ones_own_is_a_strong_cause(asked) -> None:
    """Where no library differs another default is as strong as any parameter."""
    answer = asked(BEFORE, BEFORE, params=[("n_estimators", 10, 100)])
    assert [("strong", "parameters", "n_estimators")] == told(answer)


def printed(make, log_of, patch: str) -> str:
    """What a person sees of two versions of which the second has this patch."""
    events = []
    for number in (1, 2):
        at = make.base + timedelta(days=number)
        made = copy.deepcopy(make.train(number, at, features="f", strength=1.0))
        state = made[1]["run"]["facets"]["modelTrail_codeState"]
        state |= {"commit": "1" * 40, "dirty": False}
        if number == 2:
            state |= {"dirty": True, "diff": patch, "diffSha256": make.digest(patch)}
            fields = made[1]["inputs"][0]["facets"]["schema"]["fields"]
            fields.append({"name": "late_share", "type": "double"})
        events += made
    found = CliRunner().invoke(command, ["churn@2", "--log", log_of(events).uri], catch_exceptions=False)
    return found.stdout


def file(name: str, lines: list[str]) -> str:
    """The patch of a file of ten lines to which these come."""
    head = f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n"
    added = "".join(f"+{line}\n" for line in lines)
    return f"{head}@@ -1,6 +1,{6 + len(lines)} @@\n a\n b\n c\n{added} d\n e\n f\n"


def test_a_short_diff_is_printed_whole(make, log_of) -> None:
    """No line of a diff of twenty gives way to one that says so."""
    text = printed(make, log_of, file("helpers.py", ["def table():", "    t = plain()", "    return t"] * 2))
    assert 2 == text.count("  +    return t\n")
    assert "--diff" not in text


def test_of_a_long_diff_what_names_the_moved_column_comes_first(make, log_of) -> None:
    """Sixty lines of another file give way to the three that are about the column that came."""
    other = file("other.py", [f"number = {n}" for n in range(60)])
    text = printed(make, log_of, other + file("leak.py", ["-- begin", 't["late_share"] = t["defaulted"]']))
    shown = text.partition("Diff of the code")[2].splitlines()
    assert "  diff --git a/leak.py b/leak.py" == shown[1]
    assert "  +-- begin" in shown
    assert '  +t["late_share"] = t["defaulted"]' in shown
    assert "  +number = 0" in shown
    assert shown[-1].endswith(" more lines: --diff")
