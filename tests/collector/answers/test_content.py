"""What was copied to where it is read, by nobody who told of it, is known by its bytes."""

import hashlib
from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli.answers import trace as command
from modeltrail_collector.errors import NotFound


def path(node) -> list:
    """A tree as nested lists: name, the end of its run's id, inputs."""
    return [node["name"], node["run"] and node["run"]["run_id"][-3:], *map(path, node["inputs"])]


def model(make, name: str, content: str | None, *, written: bool | None = None):
    """A model of these bytes, as an output or an input."""
    digest = {} if content is None else {"digest": make.digest(content)}
    artifact = make.facet("modelTrail_modelArtifact", algorithm="sha256", written=written, **digest)
    return make.dataset(name, modelTrail_modelArtifact=artifact)


def data(make, name: str, content: str, *, namespace: str = "file", **how: object):
    """Data of these bytes, as an input."""
    digest = {"algorithm": "sha256", "digest": make.digest(content), "scope": "full", "rows": 9, **how}
    use = make.facet("modelTrail_dataUse", role="train", fingerprint=digest, capture="observed")
    read = make.dataset(name, namespace=namespace)
    return read | {"inputFacets": {"modelTrail_dataUse": use}}


def written(make, name: str, content: str, *, namespace="file"):
    """Data of these bytes, as an output."""
    version = make.facet("version", datasetVersion=make.digest(content))
    return make.dataset(name, namespace=namespace, version=version)


def runs(make, *steps):
    """Runs 000, 001, … of (what each read, what it put out), an hour apart."""
    for n, (read, made) in enumerate(steps):
        inputs, outputs = (
            [make.dataset(each) if isinstance(each, str) else each for each in side] for side in (read, made)
        )
        yield make.run_event(
            "COMPLETE", make.base + timedelta(hours=n), f"{n:06}", f"job {n}", inputs=inputs, outputs=outputs
        )


def reached(log, asked: str) -> list[str]:
    return [row["run_id"][-3:] for row in answers.impact(log, asked) if row["kind"] == "run"]


def test_a_copied_model_leads_to_the_run_that_made_it(make, log_of) -> None:
    """Under a name that no run wrote it came of what that run learned from which put out the same bytes."""
    made, copied, other = (
        model(make, *each) for each in (("m", "a"), ("/app/model", "a"), ("/app/other", "b"))
    )
    log = log_of(runs(make, (["raw"], [made]), ([copied, "t"], ["scored"]), ([other], ["more"])))
    found = answers.trace(log, "scored")
    assert ["scored", "001", ["/app/model", "000", ["raw", None]], ["t", None]] == path(found)
    assert [{"namespace": "file", "name": "m"}, None] == [one["copy_of"] for one in found["inputs"]]
    told = CliRunner().invoke(command, ["scored", "--log", log.uri], catch_exceptions=False).stdout
    assert "/app/model · the same bytes as m · " in told
    assert ["more", "002", ["/app/other", None]] == path(answers.trace(log, "more"))
    assert ["000", "001"] == reached(log, "raw")
    asked_for = answers.trace(log, "/app/model")
    assert ["/app/model", "000", ["raw", None]] == path(asked_for)
    assert {"namespace": "file", "name": "m"} == asked_for["copy_of"]
    for asked in ("m", f"m@{make.digest('a')[:12]}", "/app/model"):
        assert ["001"] == reached(log, asked)


def test_who_asks_for_a_copied_model_means_the_version_that_has_its_bytes(make, log_of) -> None:
    """Nothing is recorded of how that name came about, and all of the version."""
    made, copied, other = (
        model(make, *each) for each in (("m", "a"), ("/app/model", "a"), ("/app/other", "b"))
    )
    log = log_of(runs(make, (["raw"], [made]), ([copied], ["scored"]), ([other], ["more"])))
    version = f"m@{make.digest('a')[:12]}"
    assert answers.reproduce(log, version) == answers.reproduce(log, "/app/model")
    with pytest.raises(NotFound, match="No model is called '/app/other'"):
        answers.reproduce(log, "/app/other")


def test_what_is_the_same_by_its_name_goes_before_a_copy(make, log_of) -> None:
    """Who wrote a model under the name that it was read by is its writer, also of bytes that nobody saw."""
    steps = (["raw"], [model(make, "m", "a")]), (["n"], [model(make, "n2", None)])
    read = [model(make, "n2", "a")]
    assert ["s", "002", ["n2", "001", ["n", None]]] == path(
        answers.trace(log_of(runs(make, *steps, (read, ["s"]))), "s")
    )


def test_a_run_reads_no_copy_of_what_it_put_out_or_what_was_made_later(make, log_of) -> None:
    """Of its own bytes nobody else is the maker, nor is one who came to the same after it had ended."""
    copied, made = model(make, "copy", "a"), model(make, "m", "a")
    log = log_of(runs(make, (["raw"], [made]), ([copied], [made, "s"]), ([], [model(make, "z", "b")])))
    (read,) = (one for one in answers.trace(log, "s")["inputs"] if one["name"] == "copy")
    assert (None, None) == (read["run"], read["copy_of"])
    late = log_of(runs(make, ([copied], ["s"]), (["raw"], [made])))
    assert ["s", "000", ["copy", None]] == path(answers.trace(late, "s"))
    assert ["001"] == reached(late, "raw")


def test_who_only_found_a_model_did_not_make_its_copies(make, log_of) -> None:
    """Of several that put out the same bytes it is the first that did not just register what lay there."""
    registered = make.facet("modelTrail_registration", name="risk", version="1")
    found = model(make, "registered", "a", written=False)
    found["facets"]["modelTrail_registration"] = registered
    copied = model(make, "copy", "a")
    steps = ([], [found]), (["raw"], [model(make, "m", "a")]), (["new"], [model(make, "again", "a")])
    log = log_of(runs(make, *steps, ([copied], ["s"])))
    assert ["s", "003", ["copy", "001", ["raw", None]]] == path(answers.trace(log, "s"))
    alone = log_of(runs(make, steps[0], ([copied], ["s"])))
    assert ["s", "001", ["copy", "000"]] == path(answers.trace(alone, "s"))


def test_a_run_that_failed_did_not_make_what_was_made_again(make, log_of) -> None:
    """It left the same bytes; where nobody made them again it did."""
    first, again, only, copied, other = (
        model(make, *each) for each in (("m", "a"), ("m", "a"), ("n", "b"), ("/app/m", "a"), ("/app/n", "b"))
    )
    *failed, made, scored = runs(
        make, (["raw"], [first]), (["raw"], [only]), (["raw"], [again]), ([copied, other], ["scored"])
    )
    log = log_of([*(event | {"eventType": "FAIL"} for event in failed), made, scored])
    trees = [path(node) for node in answers.trace(log, "scored")["inputs"]]
    assert [["/app/m", "002", ["raw", None]], ["/app/n", "001", ["raw", None]]] == trees


def test_who_reads_one_of_two_files_that_a_run_wrote_alike_reads_no_copy_of_the_other(make, log_of) -> None:
    """It reads what was written there; who reads what was copied, under a third name, may read either."""
    pair = [written(make, name, "a") for name in ("a.csv", "history.csv")]
    steps = (["raw"], pair), ([data(make, "a.csv", "a")], ["b"]), ([data(make, "copy.csv", "a")], ["c"])
    log = log_of(runs(make, *steps))
    assert ["002"] == reached(log, "history.csv")
    assert ["001", "002"] == sorted(reached(log, "a.csv"))


def test_copied_data_leads_to_the_run_that_made_it(make, log_of) -> None:
    """Also where it took the place of what somebody else wrote there; both ways, and by both names."""
    made, copied = written(make, "clean", "a"), data(make, "/data/clean", "a")
    before = written(make, "/data/clean", "z")
    log = log_of(runs(make, (["old"], [before]), (["raw"], [made]), ([copied], ["m"])))
    found = answers.trace(log, "m")
    assert ["m", "002", ["/data/clean", "001", ["raw", None]]] == path(found)
    (read,) = found["inputs"]
    assert ({"namespace": "file", "name": "clean"}, False) == (read["copy_of"], read["by_name"])
    assert ["001", "002"] == reached(log, "raw")
    assert [] == reached(log, "old")[1:]
    for asked in ("clean", f"clean@{make.digest('a')[:12]}"):
        assert ["002"] == reached(log, asked)


def test_trace_of_a_copy_of_data_leads_on(make, log_of) -> None:
    """Asked for by the name that it was only read by it is what the last of its readers read."""
    copied = data(make, "copy", "b")
    steps = (["raw"], [written(make, "x", "a")]), (["new"], [written(make, "y", "b")])
    log = log_of(runs(make, *steps, ([data(make, "copy", "a")], ["m"]), ([copied], ["n"])))
    assert ["copy", "001", ["new", None]] == path(answers.trace(log, "copy"))
    assert ["m", "002", ["copy", "000", ["raw", None]]] == path(answers.trace(log, "m"))


def test_what_was_read_before_it_was_made_is_no_copy(make, log_of) -> None:
    """What lay there already is the source of who passed it on unchanged, and no copy of that."""
    raw, same = data(make, "raw", "a"), written(make, "same", "a")
    log = log_of(runs(make, ([raw], [same]), ([raw], ["m"]), ([data(make, "other", "a")], ["n"])))
    assert ["m", "001", ["raw", None]] == path(answers.trace(log, "m"))
    assert ["n", "002", ["other", None]] == path(answers.trace(log, "n"))
    early = log_of(
        runs(make, ([raw], ["l"]), (["x"], [same]), ([raw], ["m"]), ([data(make, "b", "a")], ["n"]))
    )
    assert ["m", "002", ["raw", None]] == path(answers.trace(early, "m"))
    assert ["n", "003", ["b", "001", ["x", None]]] == path(answers.trace(early, "n"))
    assert ["001", "003"] == reached(early, "x")


def test_who_passed_data_on_did_not_make_its_copies(make, log_of) -> None:
    """The copies of copies lead to who made the content."""
    made, moved = written(make, "made", "a"), written(make, "moved", "a")
    steps = ([data(make, "made", "a")], [moved]), (["raw"], [made])
    log = log_of(runs(make, *reversed(steps), ([data(make, "copy", "a")], ["m"])))
    assert ["m", "002", ["copy", "000", ["raw", None]]] == path(answers.trace(log, "m"))
    assert {"namespace": "file", "name": "made"} == answers.trace(log, "m")["inputs"][0]["copy_of"]


@pytest.mark.parametrize(
    "how",
    [
        {"rows": 0},
        {"scope": "sampled"},
        {"namespace": "inmemory://"},
        {"algorithm": "modeltrail-rows-128", "digest": "0" * 32},
        {"digest": hashlib.sha256().hexdigest()},
    ],
    ids=["no rows", "sample", "memory", "table", "empty"],
)
def test_what_may_be_alike_by_chance_is_no_copy(make, log_of, how) -> None:
    """By the digest of nothing, of some rows, of a table's or of what lay in memory nothing is known."""
    made = written(make, "made", "a")
    if "digest" in how:
        made["facets"]["version"]["datasetVersion"] = how["digest"]
        made["outputFacets"] = data(make, "made", "a", **how)["inputFacets"]
    log = log_of(runs(make, (["raw"], [made]), ([data(make, "copy", "a", **how)], ["m"])))
    assert ["m", "001", ["copy", None]] == path(answers.trace(log, "m"))
    assert ["000"] == reached(log, "raw")


def test_a_copy_of_what_a_run_wrote_that_goes_on_is_one(make, log_of) -> None:
    """A notebook that wrote it may end after who read the copy; one that began later did not make it."""
    made, copied = written(make, "made", "a"), data(make, "copy", "a")
    (read,) = runs(make, ([copied], ["m"]))
    moments = ("START", -1), ("COMPLETE", 2)
    told = [
        make.run_event(kind, make.base + timedelta(hours=at), f"{7:06}", "notebook", outputs=[made])
        for kind, at in moments
    ]
    assert ["m", "000", ["copy", "007"]] == path(answers.trace(log_of([told[0], read, told[1]]), "m"))
    late = [make.run_event("START", make.base + timedelta(hours=1), f"{7:06}", "notebook"), read, told[1]]
    assert ["m", "000", ["copy", None]] == path(answers.trace(log_of(late), "m"))


def test_a_deployed_model_that_no_run_put_out_under_its_name_is_known_by_its_bytes(make, log_of) -> None:
    """What somebody copied to an endpoint was made by whoever put out these bytes."""
    model_of = {"namespace": "registry", "name": "risk", "version": "7", "digest": make.digest("a")}
    said = make.facet(
        "modelTrail_deployment",
        action="create",
        endpoint={"name": "live", "uri": "http://live"},
        model=model_of,
        effectiveAt=(make.base + timedelta(hours=2)).isoformat(),
        target={"platform": "kserve"},
    )
    kind = make.facet("datasetType", datasetType="MODEL", subType="ENDPOINT")
    live = make.dataset("live", datasetType=kind)
    deployed = make.run_event(
        "COMPLETE",
        make.base + timedelta(hours=2),
        f"{9:06}",
        "deploy",
        outputs=[live],
        run_facets={"modelTrail_deployment": said},
    )
    scored = make.run_event(
        "COMPLETE",
        make.base + timedelta(hours=3),
        f"{10:06}",
        "score",
        inputs=[live],
        outputs=[make.dataset("scores")],
    )
    log = log_of([*runs(make, (["raw"], [model(make, "m", "a")])), deployed, scored])
    found = answers.trace(log, "scores")
    assert ["scores", "010", ["live", "009", ["risk", "000", ["raw", None]]]] == path(found)


def test_who_wrote_the_same_in_its_place_is_who_it_was_copied_from(make, log_of) -> None:
    """Of what a run read and wrote again, as it was, under the same name the copies come of that."""
    steps = ([data(make, "made", "a")], [written(make, "made", "a")])
    log = log_of(runs(make, steps, ([data(make, "copy", "a")], ["m"])))
    assert ["m", "001", ["copy", "000", ["made", None]]] == path(answers.trace(log, "m"))


def test_copies_of_what_came_of_copies_are_followed(make, log_of) -> None:
    """From end to end, both ways, with how many runs lie between."""
    log = log_of(
        runs(
            make,
            (["raw"], [written(make, "one", "a")]),
            ([data(make, "/x/one", "a")], [written(make, "two", "b"), "aside"]),
            ([data(make, "/x/two", "b")], [written(make, "three", "c")]),
            ([data(make, "three", "c"), "aside"], ["end"]),
        )
    )
    steps = [(row["run_id"][-3:], row["depth"]) for row in answers.impact(log, "raw") if row["kind"] == "run"]
    assert [("000", 1), ("001", 2), ("003", 3), ("002", 3)] == steps
    back = ["three", "002", ["/x/two", "001", ["/x/one", "000", ["raw", None]]]]
    assert back == path(answers.trace(log, "three"))


def test_a_copy_in_a_trail_that_is_too_long_says_that_it_is_not_followed(make, log_of) -> None:
    """Where 100 runs are told its maker is told too, and nothing behind that: it is no end of the trail."""
    steps = [([str(n)], [str(n + 1)]) for n in range(105)]
    steps[-1][0].append(data(make, "copy", "a"))
    log = log_of(runs(make, (["raw"], [written(make, "made", "a")]), *steps))
    copied = next(one for one in answers.trace(log, "105")["inputs"] if one["name"] == "copy")
    assert ("000", "depth", []) == (copied["run"]["run_id"][-3:], copied["cut"], copied["inputs"])
