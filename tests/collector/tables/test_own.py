"""What a run says of one of its models: the model's own, and what is of the run as a whole."""

import pytest

from modeltrail_collector.tables.differences import Facet
from modeltrail_collector.tables.own import of_model, own

DIGESTS = {"a": "aa", "b": "bb"}


def facets(**changed):
    """Of a run that made `a` of `/d/a` and `b` of `/d/b`, both of `/d/both`; some facets changed."""
    lineage = [
        {"namespace": "file", "name": f"/m/{name}", "inputs": [place(f"/d/{name}"), place("/d/both")]}
        for name in DIGESTS
    ]
    run = {
        "modelTrail_hyperparameters": {"params": [entry("C", "a"), entry("depth", "b"), {"name": "seed"}]},
        "modelTrail_featureTransformations": {"steps": [{"id": "scale", "modelId": "a"}]},
        "modelTrail_training": {
            "algorithm": "B",
            "capture": "observed",
            "models": [{"modelId": "a", "algorithm": "A"}, {"modelId": "b", "algorithm": "B"}],
        },
    }
    job = {"lineage": {"entries": lineage}}
    found = [Facet("run", None, None, key, changed.get(key, value)) for key, value in run.items()]
    found += [Facet("job", "n", "train", key, changed.get(key, value)) for key, value in job.items()]
    found += [Facet("input", "file", f"/d/{name}", "schema", {}) for name in ("a", "b", "both", "test")]
    for name, digest in DIGESTS.items():
        artifact = {"digest": f"sha256:{digest}"}
        found.append(Facet("output", "file", f"/m/{name}", "modelTrail_model", {"modelId": name}))
        found.append(Facet("output_facet", "file", f"/m/{name}", "modelTrail_modelArtifact", artifact))
    return found


def place(name):
    return {"namespace": "file", "name": name}


def entry(name, model_id):
    return {"name": name, "modelId": model_id}


def model(name, digest):
    return {"namespace": "file", "name": name, "digest": digest}


@pytest.mark.parametrize("name", ["/m/a", "models/registered"])
def test_a_model_is_told_without_the_others(name):
    """By its name or by its bytes: its parameters, steps, training and data, and what is of the run."""
    told = {(facet.key, facet.name): facet.value for facet in of_model(facets(), model(name, "aa"))}
    params = told["modelTrail_hyperparameters", None]["params"]
    assert ["C", "seed"] == [each["name"] for each in params]
    assert ["scale"] == [each["id"] for each in told["modelTrail_featureTransformations", None]["steps"]]
    assert {"algorithm": "A", "capture": "observed"} == told["modelTrail_training", None]
    assert ["/d/a", "/d/both", "/d/test"] == [place for key, place in told if key == "schema"]


def test_data_that_only_thrown_away_fits_learned_from_is_none_of_a_model():
    """What was trained on and leads to no model is not the saved one's; test data is as it was."""
    roles = {"/d/a": "train", "/d/thrown": "train", "/d/test": "test"}
    said = [facet for facet in facets() if facet.name != "/m/b"]
    said += [
        Facet("input_facet", "file", name, "modelTrail_dataUse", {"role": roles[name]}) for name in roles
    ]
    told = of_model(said, model("/m/a", "aa"))
    assert ["/d/a", "/d/test"] == [facet.name for facet in told if facet.key == "modelTrail_dataUse"]


def test_what_a_model_holds_is_its_own():
    """Parameters and steps of a part are told too, as of a component; training is that of the first."""
    said = facets()
    said += [
        Facet("output", "file", "/m/both", "modelTrail_model", {"modelId": "tuple", "partIds": ["b", "a"]})
    ]
    told = {facet.key: facet.value for facet in of_model(said, model("/m/both", None))}
    params = told["modelTrail_hyperparameters"]["params"]
    assert [("C", "a"), ("depth", "b"), ("seed", None)] == [
        (each["name"], each.get("component")) for each in params
    ]
    assert ("B", 1) == (
        told["modelTrail_training"]["algorithm"],
        len(told["modelTrail_featureTransformations"]["steps"]),
    )


def test_what_is_told_of_no_model_is_told_of_all():
    """A model that the run does not tell apart has all that the run says."""
    assert own(facets(), model("/m/c", "cc")) is None
    assert facets() == of_model(facets(), model("/m/c", None))


def test_a_model_whose_training_nobody_saw_has_none_of_another():
    """Where only other models' training is told, the last one's is not taken for it."""
    training = {"algorithm": "B", "models": [{"modelId": "b", "algorithm": "B"}]}
    told = of_model(facets(modelTrail_training=training), model("/m/a", "aa"))
    assert [{}] == [facet.value for facet in told if facet.key == "modelTrail_training"]


ODD = (
    None,
    7,
    [7],
    {},
    {"params": 7, "steps": None, "models": "text"},
    {"params": [{"modelId": []}], "steps": [7], "models": [{"modelId": {}}]},
    {"entries": [7, {"name": [], "inputs": {}}, {"name": "/m/b", "inputs": [{"name": []}]}]},
)


@pytest.mark.parametrize("odd", ODD)
def test_odd_facets_are_passed_on(odd):
    """Facets that break their schemas are kept by the judge, and cost no answer."""
    ours = ("hyperparameters", "featureTransformations", "training")
    keys = ("lineage", *(f"modelTrail_{key}" for key in ours))
    told = of_model(facets(**dict.fromkeys(keys, odd)), model("/m/a", "aa"))
    assert set(keys) <= {facet.key for facet in told}
