"""Things of two versions are held against each other by what they are: pure functions."""

import random

import pytest

from modeltrail_collector.tables.differences import Change, Facet, aligned, differences, facts
from modeltrail_collector.tables.pairing import IN_MEMORY, Metric, content, figures, same_content
from modeltrail_collector.tables.versions import claimed_by


def read(
    name: str, digest: str, *, namespace: str = "file", rows: int = 3, use: str = "train"
) -> list[Facet]:
    """An input as a run said it."""
    said = {"role": use, "fingerprint": {"algorithm": "a", "scope": "full", "digest": digest, "rows": rows}}
    return [Facet("input_facet", namespace, name, "modelTrail_dataUse", said)]


def steps(*told: dict) -> Facet:
    return Facet("run", None, None, "modelTrail_featureTransformations", {"steps": [*told]})


def changed(old: list[Facet], new: list[Facet]) -> list[tuple]:
    found = differences(*aligned(facts(old, []), facts(new, [])))
    return [(one.path, one.before, one.after) for one in found]


def measured(value: float, name: str, digest: str | None, **more: str) -> Metric:
    told = content(IN_MEMORY, name, digest, None)
    return Metric("auc", value, dataset=name, source="evaluation", namespace=IN_MEMORY, content=told, **more)


SLICES = {"Lima": 0.9, "Oslo": 0.6, "Bern": 0.7, "Riga": 0.8}


def numbered(order: list[str], scores: dict[str, float]) -> list[Metric]:
    """Slices as the emitter calls them: by the order in which they came."""
    names = ["t/test", *(f"t/test-{n}" for n in range(2, 9))]
    return [measured(scores[one], name, one) for one, name in zip(order, names, strict=False)]


@pytest.mark.parametrize("seed", range(5))
def test_slices_in_another_order_are_the_same_slices(seed: int) -> None:
    """In whichever order the slices of a version are told, nothing changed."""
    order = random.Random(seed).sample([*SLICES], len(SLICES))
    sides = [facts([], numbered(one, SLICES)) for one in ([*SLICES], order)]
    assert [] == differences(*aligned(*sides))


def test_a_slice_that_came_and_one_that_went() -> None:
    """One added, one gone and one that moved are told as that, and the others not at all."""
    old = facts([], numbered(["Lima", "Oslo", "Bern"], SLICES))
    new = facts([], numbered(["Riga", "Bern", "Lima"], SLICES | {"Bern": 0.5}))
    assert {
        Change("evaluations", "auc [t/test]", None, "0.8"),
        Change("evaluations", "auc [t/test-2, content Bern]", "0.7", "0.5"),
        Change("evaluations", "auc [t/test-2, content Oslo]", "0.6", None),
    } == {*differences(*aligned(old, new))}


def test_figures_on_other_data_say_so() -> None:
    """Where the data has another name or another content, the path tells it."""
    for name, digest, told in (("t/test", "b", "t/test, other content"), ("u.csv", "b", "t/test → u.csv")):
        sides = [facts([], [measured(0.5, "t/test", "a")]), facts([], [measured(0.4, name, digest)])]
        assert [f"auc [{told}]"] == [change.path for change in differences(*aligned(*sides))]


def test_figures_of_a_run_and_of_an_evaluation_are_two() -> None:
    """What a run says of itself is not held against what an evaluation found."""
    own, judged = Metric("auc", 0.9), Metric("auc", 0.8, source="evaluation")
    assert [(own, None), (None, judged)] == figures([own], [judged])
    both = facts([], [own, judged])
    assert {"auc", "auc (2)"} == {*aligned(both, both)[0]["evaluations"]}


def test_several_inputs_in_memory_are_all_told() -> None:
    """Unnamed inputs of one use go by their content: their order says nothing, and none hides another."""
    old = read("t/train", "a", namespace=IN_MEMORY) + read("t/train-2", "b", namespace=IN_MEMORY)
    new = read("t/train", "b", namespace=IN_MEMORY) + read("t/train-2", "a", namespace=IN_MEMORY)
    assert [] == changed(old, new)
    other = read("t/train", "b", namespace=IN_MEMORY) + read("t/train-2", "c", namespace=IN_MEMORY)
    assert [("in memory, train, t/train-2#fingerprint", "a", "c")] == changed(old, other)


def test_a_file_of_the_next_month_stands_beside_the_last() -> None:
    """An input under another name is told as that, with what differs; of the same content only the name."""
    old = read("/d/2026-09.csv", "a") + read("/d/lookup.csv", "l")
    path = "/d/2026-10.csv"
    moved = ("#name", "/d/2026-09.csv", path)
    assert [(f"{path}{moved[0]}", *moved[1:])] == changed(old, read("/d/lookup.csv", "l") + read(path, "a"))
    assert [(f"{path}#fingerprint", "a", "b"), (f"{path}#name", *moved[1:])] == changed(
        old, read(path, "b") + read("/d/lookup.csv", "l")
    )


def test_tables_of_one_name_in_two_places_are_two() -> None:
    """Inputs that differ by their namespace alone keep their own lines."""
    both = read("t", "a", namespace="hive://a") + read("t", "b", namespace="hive://b")
    other = read("t", "a", namespace="hive://a") + read("t", "c", namespace="hive://b")
    assert [("hive://b/t#fingerprint", "b", "c")] == changed(both, other)


def test_a_version_is_a_content_of_one_name_only() -> None:
    """Version 3 of one table is not version 3 of another; nor does a version tell what a digest is."""
    three, other = content("ns", "a", None, "3"), content("ns", "b", None, "3")
    digest = content("ns", "a", "f", "3")
    assert [True, None, None] == [same_content(three, now) for now in (three, other, digest)]
    assert same_content(content("ns", "a", None, "3"), content("ns", "a", None, "4")) is False


def test_steps_go_by_what_they_do() -> None:
    """Numbered and unnamed steps in another order changed nothing; one put before the others is one line."""
    merge = [{"id": "merge", "op": "merge", "params": {"on": "a"}},
             {"id": "merge-2", "op": "merge", "params": {"on": "b"}}]  # fmt: skip
    turned = [{**merge[1], "id": "merge"}, {**merge[0], "id": "merge-2"}]
    assert [] == changed([steps(*merge)], [steps(*turned)])
    odd = [{"op": "Clip", "params": {"to": n}} for n in (1, 2)]
    assert [] == changed([steps(*odd)], [steps(*reversed(odd))])
    first = {"op": "Drop"}
    assert [("Drop", None, "Drop()")] == changed([steps(*odd)], [steps(first, *odd)])


def test_a_named_step_is_held_against_its_name() -> None:
    """A step that its author named is that step, whatever it does now."""
    old, new = {"id": "scale", "op": "x.Standard"}, {"id": "scale", "op": "x.Robust"}
    other = {"id": "more", "op": "x.Standard"}
    assert [("more", None, "Standard()"), ("scale", "Standard()", "Robust()")] == changed(
        [steps(old)], [steps(other, new)]
    )


def test_which_columns_a_step_reads_is_told() -> None:
    """A step of other columns is another one; one of all columns says nothing that the data does not."""
    fields = Facet("input", "file", "f", "schema", {"fields": [{"name": name} for name in "abc"]})

    def scaled(*columns: str) -> Facet:
        return steps(
            {"id": "s", "op": "S", "inputs": [{"namespace": "file", "name": "f", "columns": [*columns]}]}
        )

    assert [("s", "S() of a, b", "S() of a")] == changed([fields, scaled("a", "b")], [fields, scaled("a")])
    assert [("s", "S()", "S() of a")] == changed([fields, scaled(*"abc")], [fields, scaled("a")])


def test_a_section_that_one_side_did_not_record_is_one_line() -> None:
    """What nobody recorded on one side did not come or go; what was recorded as empty did."""
    some = [Facet("run", None, None, "modelTrail_hyperparameters", {"params": [{"name": "C", "value": 1}]})]
    none = [Facet("run", None, None, "modelTrail_hyperparameters", {"params": []})]
    assert [("all of it", None, "recorded")] == changed([], some)
    assert [("C", None, "1")] == changed(none, some)


def test_a_run_without_a_parent_is_no_relative_of_what_nobody_registered() -> None:
    """What judged shared bytes, and is below none of the runs that made them, counts for all versions."""
    alike = {"1": {"a", None}, "2": {"b", "c"}}
    assert set() == claimed_by(None, {"judge", None}, alike, "f00d")
    assert {"2"} == claimed_by(None, {"judge", "c"}, alike, "f00d") == claimed_by("2", {"a"}, alike, "f00d")


def test_a_name_that_is_the_beginning_of_the_bytes_names_no_version_of_them() -> None:
    """A run that judges its model before it registers it knows no other; the version is that of the run."""
    alike = {"1": {"a", None}, "f00d": {"failed"}}
    assert {"1"} == claimed_by("f00d", {"a", "child"}, alike, "f00df00d")
    assert set() == claimed_by("f00d", {"judge"}, alike, "f00df00d")
    assert {"f00d"} == claimed_by("f00d", {"failed"}, alike, "f00df00d")
