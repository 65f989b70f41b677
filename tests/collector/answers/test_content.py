"""A model that was copied to where it is read, by nobody who told of it, is known by its bytes."""

from datetime import timedelta

from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli.answers import trace as command


def path(node) -> list:
    """A tree as nested lists: name, the end of its run's id, inputs."""
    return [node["name"], node["run"] and node["run"]["run_id"][-3:], *map(path, node["inputs"])]


def model(make, name: str, content: str | None, *, written: bool | None = None):
    """A model of these bytes, as an output or an input."""
    digest = {} if content is None else {"digest": make.digest(content)}
    artifact = make.facet("modelTrail_modelArtifact", algorithm="sha256", written=written, **digest)
    return make.dataset(name, modelTrail_modelArtifact=artifact)


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
