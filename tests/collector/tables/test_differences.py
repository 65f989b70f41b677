"""What differs between two model versions: pure functions."""

import hypothesis.strategies as st
from hypothesis import given

from modeltrail_collector.tables.differences import (
    SECTIONS,
    Change,
    Facet,
    Facts,
    aligned,
    change_rows,
    differences,
    facts,
)
from modeltrail_collector.tables.pairing import Metric

FACTS = st.fixed_dictionaries(
    {section: st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3) for section in SECTIONS}
)


def sections(found: Facts):
    """The facts by section and path."""
    return aligned(found, found)[0]


@given(FACTS)
def test_nothing_differs_from_itself(one) -> None:
    """A version has no differences to itself."""
    assert [] == differences(one, one)


@given(FACTS, FACTS)
def test_differences_lead_from_one_to_the_other(one, other) -> None:
    """Applied to the older facts, the differences give the newer ones, and nothing else is listed."""
    made = {section: dict(paths) for section, paths in one.items()}
    for change in differences(one, other):
        assert change.before == one[change.section].get(change.path)
        if change.after is None:
            del made[change.section][change.path]
        else:
            made[change.section][change.path] = change.after
    assert other == made


@given(FACTS, FACTS)
def test_differences_turn_round(one, other) -> None:
    """The way back swaps before and after."""
    back = [Change(c.section, c.path, c.after, c.before) for c in differences(other, one)]
    assert differences(one, other) == back


def test_packages_go_by_name() -> None:
    """Packages are compared by name, whatever their order; a package added or removed is one line."""

    def environment(*packages):
        value = {
            "python": {"version": "3.11"},
            "packages": [dict(zip(("name", "version"), p, strict=True)) for p in packages],
        }
        return facts([Facet("run", None, None, "modelTrail_environment", value)], [])

    old = environment(("numpy", "1.0"), ("pandas", "2.0"))
    new = environment(("pandas", "2.1"), ("polars", "1.0"), ("numpy", "1.0"))
    assert [
        Change("environment", "packages.pandas", "2.0", "2.1"),
        Change("environment", "packages.polars", None, "1.0"),
    ] == differences(*aligned(old, new))


def test_modules_from_elsewhere_go_by_name_and_content() -> None:
    """Where such a module lies is no difference, what is in it is; so is the commit of its repository."""

    def code(path: str, content: str, commit: str):
        files = [{"name": "ourlib", "path": path, "sha256": content}]
        repositories = [{"root": "/srv", "commit": commit, "dirty": False}]
        value = {"dirty": False, "elsewhere": files, "elsewhereCount": 1, "repositories": repositories}
        return facts([Facet("run", None, None, "modelTrail_codeState", value)], [])

    was = code("/srv/ourlib.py", "1", "aa")
    assert [] == differences(*aligned(was, code("/home/ourlib.py", "1", "aa")))
    assert [
        Change("code", "elsewhere.ourlib.sha256", "1", "2"),
        Change("code", "repositories./srv.commit", "aa", "bb"),
    ] == differences(*aligned(was, code("/srv/ourlib.py", "2", "bb")))


def test_what_differs_at_every_run_is_left_out() -> None:
    """Durations, working directories and the text of a diff say nothing about the model."""
    steps = [{"id": "s", "op": "Scale", "durationMs": n, "stateSha256": "x"} for n in (1, 2)]
    made = [
        facts(
            [
                Facet("run", None, None, "modelTrail_featureTransformations", {"steps": [step, "odd"]}),
                Facet(
                    "run",
                    None,
                    None,
                    "modelTrail_codeState",
                    {"cwd": f"/{n}", "diff": str(n), "dirty": False},
                ),
                Facet("run", None, None, "anything_else", [n]),
            ],
            [],
        )
        for n, step in enumerate(steps)
    ]
    assert [] == differences(*aligned(*made))
    assert {"s": "Scale()"} == sections(made[0])["transformations"]


def test_steps_and_parameters_are_one_line_each() -> None:
    """A step is one line with its parameters; a parameter has its component's name once."""
    step = {
        "id": "s",
        "op": "sklearn.preprocessing.Scale",
        "params": {"b": True, "a": 1},
        "fittedOn": "train",
    }
    params = [{"name": "s__a", "value": 1, "component": "s"}, {"name": "a", "value": 2, "component": "t"}]
    found = facts(
        [
            Facet("run", None, None, "modelTrail_featureTransformations", {"steps": [step]}),
            Facet("run", None, None, "modelTrail_hyperparameters", {"params": params}),
        ],
        [],
    )
    assert {"s": "Scale(a=1, b=true) fitted on train"} == sections(found)["transformations"]
    assert {"s__a": "1", "t.a": "2"} == sections(found)["parameters"]


def test_data_in_memory_goes_by_its_use() -> None:
    """Data that never had a name (it is called after its content) is compared by what it was used for."""

    def version(digest: str):
        use = {"role": "train", "fingerprint": {"digest": digest, "rows": 3}}
        name = f"data-{digest}"
        return facts(
            [
                Facet("input_facet", "inmemory://", name, "modelTrail_dataUse", use),
                Facet("input", "inmemory://", name, "version", {"datasetVersion": digest}),
            ],
            [],
        )

    changes = differences(*aligned(version("aa"), version("bb")))
    assert [Change("dataInputs", "in memory, train#fingerprint", "aa", "bb")] == changes


def test_figures_have_their_place() -> None:
    """A figure is told apart by split, dataset and slice."""
    found = facts(
        [], [Metric("auc", 0.5, "test"), Metric("auc", 0.75, None, "d", '{"sex": "f"}'), Metric("n", None)]
    )
    assert {"auc [test]": "0.5", 'auc [d, {"sex": "f"}]': "0.75", "n": "null"} == sections(found)[
        "evaluations"
    ]


def test_each_version_is_held_against_the_one_before() -> None:
    """Rows of `changes` name a version and the one before it, oldest first; the first version has none."""
    versions = [
        (str(n), Facts({"parameters": {"C": c}}, [], [], []))
        for n, c in ((1, "1"), (2, "2"), (3, "2"), (4, "3"))
    ]
    rows = change_rows("ns", "m", versions)
    assert [("2", "1", "1", "2"), ("4", "3", "2", "3")] == [
        (row["version"], row["base_version"], row["before"], row["after"]) for row in rows
    ]


def test_a_model_that_a_run_read_is_not_held_against_data() -> None:
    """A champion that came where data was read before is no other content, name or columns of that data."""

    def reading(name: str, **facets: dict) -> Facts:
        use = {"role": "other", "fingerprint": {"digest": name, "scope": "full"}}
        told = {"modelTrail_dataUse": use, **facets}
        return facts([Facet("input", "file", name, key, value) for key, value in told.items()], [])

    data, model = reading("holdout.csv"), reading("champion.joblib", datasetType={"datasetType": "MODEL"})
    changed = differences(*aligned(data, model))
    assert {None} == {change.before if "champion" in change.path else change.after for change in changed}
    assert not [change for change in changed if None not in (change.before, change.after)]
    held = differences(*aligned(model, reading("other.joblib", datasetType={"datasetType": "MODEL"})))
    assert ["fingerprint", "name"] == sorted(change.path.rpartition("#")[2] for change in held)
