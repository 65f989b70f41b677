"""What `why` says of two versions is no more than what was recorded of them."""

import copy
from datetime import timedelta

import pytest

from modeltrail_collector import answers

HYPER, TRAINING, ENVIRONMENT = "modelTrail_hyperparameters", "modelTrail_training", "modelTrail_environment"


def pair(make, change, always=lambda _: None) -> list[dict]:
    """Two trainings, alike but for what `change` does to the second's COMPLETE; `always` does it to both."""
    events = []
    for number in (1, 2):
        at = make.base + timedelta(days=number)
        made = copy.deepcopy(make.train(number, at, features="f", strength=1.0))
        made[1]["run"]["facets"]["modelTrail_codeState"] = make.facet(
            "modelTrail_codeState", dirty=False, commit="1" * 40, entryPoint="train.py"
        )
        always(made[1])
        if number == 2:
            change(made[1])
        events += made
    return events


@pytest.fixture
def asked(make, log_of):
    """The answer of `why` to two trainings, of which the second is changed so."""
    return lambda *changes: answers.why(log_of(pair(make, *changes)), "churn@2")


def told(answer) -> list[tuple]:
    return [(cause["strength"], cause["kind"], cause["subject"], cause["what"]) for cause in answer["causes"]]


def against(answer) -> list[str]:
    return [entry["text"] for cause in answer["causes"] for entry in cause["against"]]


def facets(event) -> dict:
    return event["run"]["facets"]


def use(event, place: int = 0) -> dict:
    return event["inputs"][place]["inputFacets"]["modelTrail_dataUse"]


@pytest.mark.parametrize(
    ("value", "text"), [("1.0", '1.0 → "1.0"'), (1, "1.0 → 1"), (True, "1.0 → true"), ("one", "1.0 → one")]
)
def test_a_parameter_of_another_type_is_another(asked, value, text) -> None:
    """A value that only its type changed is told, and that only the type did."""

    def change(event) -> None:
        facets(event)[HYPER]["params"][0]["value"] = value

    answer = asked(change)
    assert ("parameters", "C", text) == told(answer)[0][1:]
    assert ("the same value of another type" in against(answer)) == (value != "one")
    assert "parameters: all the same" not in answer["unchanged"]


def test_a_split_by_another_seed_is_told(asked) -> None:
    """The seed of a split is what changed, and not a cause that nobody knows."""

    def split(**said):
        return lambda event: use(event).update(split={"strategy": "random", "seed": 1, **said})

    assert [("strong", "training", "split", "seed 1 → 2")] == told(asked(split(seed=2), split()))
    assert [("training", "split", "strategy random → time")] == [
        one[1:] for one in told(asked(split(strategy="time"), split()))
    ]


@pytest.mark.parametrize(
    ("value", "is_known"),
    [
        ({"class": "numpy.random.mtrand.RandomState"}, False),
        ([1, {"class": "numpy.ndarray", "shape": [2000]}], False),
        ("__main__.weigh", False),
        ("ours.steps.<lambda>", False),
        ("ours.steps.weigh", True),
        ({"class": "list", "length": 2000, "sha256": "1" * 64}, True),
    ],
)
def test_a_value_of_which_only_the_class_is_recorded_is_never_ruled_out(asked, value, is_known) -> None:
    """Nobody knows whether it is the same, nor of a seed whether it was fixed."""

    def always(event) -> None:
        facets(event)[HYPER]["params"] += [{"name": "weight", "value": value}, {"name": "seed", "value": 1}]
        facets(event)["modelTrail_featureTransformations"]["steps"][0]["params"] = {"func": value}

    answer = asked(lambda _: None, always)
    for section, name in (("parameters", "weight"), ("transformations", "scale")):
        assert is_known == (f"{section}: all the same" in answer["unchanged"])
        said = f"{section}: the values of {name}, of which only a class or a name was recorded"
        assert is_known != (said in answer["not_recorded"])
    (fixed,) = [note for note in answer["notes"] if note.startswith("Seeds were fixed")]
    assert is_known != ("as the values of weight, hardware" in fixed)


def test_a_seed_of_which_only_the_class_is_recorded_is_not_known(asked) -> None:
    """A generator may have been seeded otherwise: it is not said that seeds were fixed, nor which."""

    def always(event) -> None:
        value = {"class": "numpy.random.mtrand.RandomState"}
        facets(event)[HYPER]["params"].append({"name": "random_state", "value": value})

    answer = asked(lambda _: None, always)
    assert (
        "Whether seeds were fixed is not recorded: chance in training cannot be ruled out." in answer["notes"]
    )
    assert not any(line.startswith("seeds") for line in answer["unchanged"])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("t.py 1 2", "t.py 2 2", None),
        ("t.py --version=1 2", "t.py --version=2 2", None),
        ("t.py 1 --depth=1", "t.py 2 --depth=1", None),
        ("t.py 1 3", "t.py 2 2", "t.py VERSION 3 → t.py VERSION 2"),
        ("t.py 1 x", "t.py 2", "t.py VERSION x → t.py VERSION"),
        ("t.py --rate=10", "t.py --rate=20", "t.py --rate=10 → t.py --rate=20"),
    ],
)
def test_only_the_version_itself_is_left_out_of_the_command_line(make, log_of, before, after, told) -> None:
    """An argument that happens to be the version of one side is compared as it is."""
    events = pair(make, lambda _: None)
    for event, line in ((events[1], before), (events[3], after)):
        facets(event)["modelTrail_codeState"]["argv"] = line.split()
    causes = answers.why(log_of(events), "churn@2")["causes"]
    lines = [cause["evidence"][0]["text"] for cause in causes if cause["subject"] == "command line"]
    assert ([told] if told else []) == lines


def test_the_seed_of_a_split_before_the_last_is_told(asked) -> None:
    """Where only the first of two splits has another seed that is the cause, and seeds are not ruled out."""

    def split(seed):
        earlier = [{"strategy": "random", "seed": seed, "fraction": 0.8}]
        return lambda event: use(event).update(split={"strategy": "random", "seed": 2, "earlier": earlier})

    answer = asked(split(77), split(1))
    assert [("strong", "training", "split", "split 1 seed 1 → 77")] == told(answer)
    assert not [each for each in answer["unchanged"] if each.startswith("seeds")]
    assert "seeds: split=1 and 2" in asked(lambda _: None, split(1))["unchanged"]


def test_features_and_label_that_were_chosen_are_told(asked) -> None:
    """Other features or another label of the same data are causes of their own."""

    def change(event) -> None:
        use(event)["features"] = ["tenure", "income"]
        use(event)["labelColumn"] = "churned"

    assert {
        ("strong", "training", "features", "without age, with income"),
        ("strong", "training", "label column", "not recorded → churned"),
    } == set(told(asked(change)))


def test_what_one_side_did_not_record_is_no_difference(asked) -> None:
    """Parameters, training and environment of one side alone are not recorded, and no cause."""

    def change(event) -> None:
        for key in (HYPER, TRAINING, ENVIRONMENT):
            facets(event).pop(key)

    answer = asked(change)
    assert {"parameters of churn@2", "environment of churn@2"} <= set(answer["not_recorded"])
    kinds = {cause["kind"] for cause in answer["causes"]}
    assert not kinds & {"parameters", "training", "environment"}


def test_the_version_of_a_library_is_no_environment(make, asked) -> None:
    """A side that names its library alone is not held against a list of packages."""

    def change(event) -> None:
        facets(event).pop(ENVIRONMENT)
        facets(event)["processing_engine"] = make.facet("processing_engine", name="sklearn", version="1.7.0")

    answer = asked(change)
    assert "environment of churn@2" in answer["not_recorded"]
    assert "environment" not in {cause["kind"] for cause in answer["causes"]}


def test_parameters_of_another_algorithm_are_one_line(asked) -> None:
    """What only one of two algorithms has is told with the algorithm; what both have on its own."""

    def change(event) -> None:
        facets(event)[TRAINING]["algorithm"] = "sklearn.ensemble.RandomForestClassifier"
        facets(event)[HYPER]["params"] = [
            {"name": "n_estimators", "value": 5}, {"name": "max_depth", "value": 3},
            {"name": "max_iter", "value": 7},
        ]  # fmt: skip

    answer = asked(change)
    assert [("training", "algorithm"), ("parameters", "max_iter")] == [one[1:3] for one in told(answer)]
    evidence = [entry["text"] for entry in answer["causes"][0]["evidence"]]
    assert "parameters that only one of the two has: C, max_depth, n_estimators" in evidence


def test_a_seed_is_told_once(asked) -> None:
    """A seed that is a parameter and stands in the training too is one cause, and no strong one."""

    def change(event) -> None:
        facets(event)[HYPER]["params"] += [{"name": "random_state", "value": 2}, {"name": "tol", "value": 1}]
        facets(event)[TRAINING]["seeds"] = {"framework": 2}

    assert {("possible", "random_state"), ("strong", "tol")} == {
        (strength, subject) for strength, _, subject, _ in told(asked(change))
    }


def test_a_default_of_a_newer_library_is_unlikely(asked) -> None:
    """A default that only the newer library knows leaves the library as what changed."""

    def change(event) -> None:
        facets(event)[ENVIRONMENT]["packages"][0]["version"] = "1.8.0"
        facets(event)[HYPER]["params"].append({"name": "penalty", "value": "x", "origin": "default"})

    answer = asked(change)
    assert [("possible", "environment"), ("unlikely", "parameters")] == [one[:2] for one in told(answer)]
    assert "a default that only one side knows: see the environment" in against(answer)


def test_a_run_that_failed_is_named(asked) -> None:
    """A version whose run did not end well says so."""
    answer = asked(lambda event: event.update(eventType="FAIL"))
    assert "The run that made churn@2 ended as FAIL." in answer["notes"]


def test_metadata_is_no_content(asked) -> None:
    """A fingerprint of metadata alone does not say that the content is the same."""

    def change(event) -> None:
        use(event)["fingerprint"]["scope"] = "metadata"

    answer = asked(change)
    assert "which content of /data/churn/features.parquet was read" in answer["not_recorded"]
    assert not [line for line in answer["unchanged"] if "features.parquet" in line]


def test_rows_in_whatever_order(make, asked) -> None:
    """A fingerprint of rows says that they are the same rows, and not that they came in that order."""
    same = "data: /data/churn/features.parquet has the same "
    assert f"{same}content" in asked(lambda _: None)["unchanged"]
    for said, text in (
        ({"algorithm": "modeltrail-rows-128"}, "rows, in whatever order"),
        ({"scope": "sampled"}, "content in the rows that were sampled"),
    ):

        def always(event, said=said) -> None:
            use(event)["fingerprint"].update(said)

        assert f"{same}{text}" in asked(lambda _: None, always)["unchanged"]


@pytest.mark.parametrize(
    ("algorithm", "strength"), [("modeltrail-rows-128", "possible"), ("sha256", "unlikely")]
)
def test_the_order_of_rows_is_told_where_nothing_else_differs(make, asked, algorithm, strength) -> None:
    """A file of other content, the same rows fitted on, and another model: their order may be why."""

    def always(event) -> None:
        event["inputs"].append(make.used("t/train", "rows", role="train", rows=4000))
        event["inputs"][-1]["namespace"] = "inmemory://"
        use(event, -1)["fingerprint"]["algorithm"] = algorithm

    def change(event) -> None:
        use(event)["fingerprint"]["digest"] = make.digest("shuffled")

    (cause,) = asked(change, always)["causes"]
    assert (strength, "/data/churn/features.parquet") == (cause["strength"], cause["subject"])
    texts = [entry["text"] for entry in cause["evidence"]]
    assert "nothing else that was recorded differs" in texts
    order = any(text.startswith("in which order the rows came is not recorded") for text in texts)
    assert order == (strength == "possible")


def test_other_types_of_the_same_rows_are_told(asked) -> None:
    """Where the rows are the same and a column has another type, both are said."""

    def change(event) -> None:
        event["inputs"][0]["facets"]["schema"]["fields"][0]["type"] = "int64"

    assert (
        "data: /data/churn/features.parquet has the same content, with other types: age double → int64"
        in (asked(change)["unchanged"])
    )


def test_a_renamed_column_is_told_as_one(make, asked) -> None:
    """A new column with the very profile of one that is gone is told as renamed."""

    def profiled(event, *names: str) -> None:
        columns = {name: {"dtype": "double", "count": 9, "mean": place} for place, name in enumerate(names)}
        event["inputs"][0] = make.used(
            "/data/churn/features.parquet", names[0], role="train", rows=4000, columns=",".join(names)
        )
        profile = make.facet("modelTrail_featureProfile", columns=columns)
        event["inputs"][0]["inputFacets"]["modelTrail_featureProfile"] = profile

    answer = asked(
        lambda event: profiled(event, "years", "tenure"), lambda event: profiled(event, "age", "tenure")
    )
    evidence = [entry["text"] for entry in answer["causes"][0]["evidence"]]
    assert "years has the profile that age had, as after a renaming" in evidence


def test_no_reading_is_recorded(make, log_of) -> None:
    """That a run told of no input does not say that it read none."""
    events = pair(make, lambda event: event.update(inputs=[]))
    events[2]["inputs"] = []
    answer = answers.why(log_of(events), "churn@2")
    (cause,) = [cause for cause in answer["causes"] if cause["subject"].endswith("features.parquet")]
    assert ("possible", "no reading of it is recorded any more") == (cause["strength"], cause["what"])
    assert "nothing is recorded of what churn@2 read: it may have read it too" in against(answer)


def test_what_is_read_for_another_use_is_read(make, asked) -> None:
    """Of data that the other version's run went through after its training it is not said that none did."""

    def both(event) -> None:
        event["inputs"].append(make.used("/data/more.parquet", "more", role="train", rows=10))
        names = [{key: each[key] for key in ("namespace", "name")} for each in event["inputs"]]
        output = event["outputs"][0]
        entry = {"namespace": output["namespace"], "name": output["name"], "type": "DATASET"}
        entry["inputs"] = [{**each, "type": "DATASET"} for each in names]
        event["job"].setdefault("facets", {})["lineage"] = make.facet("lineage", entries=[entry])

    def after(event) -> None:
        del event["job"]["facets"]["lineage"]["entries"][0]["inputs"][0]
        event["inputs"][0]["inputFacets"]["modelTrail_dataUse"]["role"] = "inference"

    said = [cause["what"] for cause in asked(after, both)["causes"] if cause["kind"] == "data"]
    assert ["is read for another use, of which the model did not come"] == said


def test_figures_that_were_told_again(make, log_of) -> None:
    """Of a version that was evaluated twice on the same data the last figure counts, and that is said."""
    events = pair(make, lambda _: None)
    again = copy.deepcopy(events[-1])
    again["run"] = {"runId": make.uuid7(make.base, 9), "facets": {}}
    again |= {"eventTime": "2026-04-01T00:00:00Z", "outputs": [], "inputs": again["inputs"][-1:]}
    again["job"] = {"namespace": "ml", "name": "judge", "facets": {}}
    answer = answers.why(log_of([*events, again]), "churn@2")
    assert "churn@2 was evaluated again: of accuracy the last figure counts." in answer["notes"]


def test_long_values_show_where_they_differ(asked) -> None:
    """Of two long lines that begin alike what is shown is what differs."""

    def step(event, *columns: str) -> None:
        source = {"namespace": "file", "name": "/data/churn/features.parquet", "columns": columns}
        facets(event)["modelTrail_featureTransformations"]["steps"] = [
            {"id": "scale", "op": "Scaler", "params": {"a" * 60: 1}, "inputs": [source]}
        ]

    answer = asked(lambda event: step(event, "age"), lambda event: step(event, "age", "label"))
    (text,) = [entry["text"] for entry in answer["causes"][0]["evidence"] if "scale" in entry["text"]]
    assert text == "scale: …aaaaaaaaaa=1) of age, label → …aaaaaaaaaa=1) of age"
