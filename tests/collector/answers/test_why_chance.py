"""What `why` says of chance: seeds, and models whose bytes differ at each training."""

import copy
from datetime import timedelta

from modeltrail_collector import answers

CHANCE = "training again may well give another model by chance."


def notes(make, log_of, *, param=None, split=None, seeds=None, patch=None, accuracy=(0.8, 0.8)) -> str:
    """Of two trainings, alike but for their bytes and figures, and but for the patch of the second."""
    events = []
    for number in (1, 2):
        made = copy.deepcopy(
            make.train(number, make.base + timedelta(days=number), features="f", strength=1.0)
        )
        event = made[1]
        facets = event["run"]["facets"]
        facets["modelTrail_codeState"] |= {"commit": "1" * 40, "dirty": False}
        if patch and number == 2:
            facets["modelTrail_codeState"] |= {"dirty": True, "diff": patch, "diffSha256": make.digest(patch)}
        facets["modelTrail_metrics"]["metrics"] = []
        if param:
            facets["modelTrail_hyperparameters"]["params"].append(param)
        if seeds:
            facets["modelTrail_training"]["seeds"] = seeds
        if split:
            event["inputs"][0]["inputFacets"]["modelTrail_dataUse"]["split"] = split
        model = event["inputs"][-1]["inputFacets"]["modelTrail_evaluation"]
        model["metrics"] = [{"name": "accuracy", "value": accuracy[number - 1]}]
        events += made
    return " ".join(answers.why(log_of(events), "churn@2")["notes"])


def test_a_seed_of_the_split_is_a_seed(make, log_of) -> None:
    """Where only the split was seeded it says so, and where the training was too no chance is blamed."""
    split = {"strategy": "random", "seed": 7, "fraction": 0.7}
    assert f"No seed was fixed: {CHANCE}" in notes(make, log_of)
    assert f"Only the split was seeded: {CHANCE}" in notes(make, log_of, split=split)
    assert "Seeds were fixed" in notes(make, log_of, split=split, seeds={"framework": 3})


def test_a_weaker_cause_does_not_hide_that_no_seed_was_fixed(make, log_of) -> None:
    """A change of the README, the only one there is, stays unlikely beside a seed that was not fixed."""
    patch = "diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-a\n+b\n"
    assert f"No seed was fixed: {CHANCE}" in notes(make, log_of, patch=patch, accuracy=(0.8, 0.7))


def test_a_strong_cause_needs_no_chance(make, log_of) -> None:
    """Code, the only difference there is, explains it: nothing is said of seeds."""
    patch = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-a\n+b\n"
    assert "seed" not in notes(make, log_of, patch=patch, accuracy=(0.8, 0.7))


def test_the_bytes_of_a_search_hold_times(make, log_of) -> None:
    """Of a search that scored the same it says that its bytes hold times, and of one that did not chance."""
    found = {"name": "C", "component": "search", "value": 1.0, "type": "float", "origin": "search"}
    alike, moved = (notes(make, log_of, param=found, accuracy=(0.8, x)) for x in (0.8, 0.7))
    assert "cv_results_: mean_fit_time" in alike
    assert "seed" not in alike
    assert f"No seed was fixed: {CHANCE}" in moved


def test_how_long_it_trained_is_a_result(make, log_of) -> None:
    """Other steps are told and are no cause, since they follow from something else, unless declared."""
    for capture, causes in (("observed", []), ("declared", ["steps"])):
        events = []
        for number in (1, 2):
            made = make.train(number, make.base + timedelta(days=number), features="f", strength=1.0)
            facets = made[1]["run"]["facets"]
            facets["modelTrail_codeState"] |= {"commit": "1" * 40, "dirty": False}
            facets["modelTrail_training"] |= {"steps": 11 + number, "capture": capture}
            events += made
        answer = answers.why(log_of(events), "churn@2")
        assert causes == [cause["subject"] for cause in answer["causes"]]
        said = "How long it trained is a result here, and no cause: steps 12 → 13."
        assert (said in answer["notes"]) == (not causes)
        assert "Nothing that was recorded changed." not in answer["notes"]


def deterministic(make, log_of, algorithm: str, *params: tuple) -> str:
    """Of two trainings without a seed, whose parameters were all observed, and the notes on them."""
    events = []
    for number, accuracy in ((1, 0.8), (2, 0.7)):
        made = copy.deepcopy(
            make.train(number, make.base + timedelta(days=number), features="f", strength=1.0)
        )
        facets = made[1]["run"]["facets"]
        facets["modelTrail_codeState"] |= {"commit": "1" * 40, "dirty": False}
        facets["modelTrail_training"]["algorithm"] = algorithm
        facets["modelTrail_hyperparameters"]["params"] = [
            {"name": name, "value": value, "origin": "default"} for name, value in params
        ]
        judged = made[1]["inputs"][-1]["inputFacets"]["modelTrail_evaluation"]
        judged["metrics"] = [{"name": "accuracy", "value": accuracy}]
        events += made
    return " ".join(answers.why(log_of(events), "churn@2")["notes"])


def test_chance_is_not_blamed_on_a_training_that_draws_nothing(make, log_of) -> None:
    """LogisticRegression draws with the solver saga and not with lbfgs, an MLP always, naive Bayes never."""
    nothing = "the training drew nothing at random"
    linear, seed = "sklearn.linear_model.LogisticRegression", ("random_state", None)
    assert nothing in deterministic(make, log_of, linear, seed, ("solver", "lbfgs"))
    assert f"No seed was fixed: {CHANCE}" in deterministic(make, log_of, linear, seed, ("solver", "saga"))
    network = ("sklearn.neural_network.MLPClassifier", seed, ("solver", "lbfgs"))
    assert f"No seed was fixed: {CHANCE}" in deterministic(make, log_of, *network)
    assert nothing in deterministic(make, log_of, "sklearn.naive_bayes.GaussianNB", ("var_smoothing", 1e-9))
    shuffled = (seed, ("solver", "lbfgs"), ("cv", "KFold(n_splits=5, shuffle=True)"))
    assert f"No seed was fixed: {CHANCE}" in deterministic(make, log_of, linear, *shuffled)
