"""What events say of runs, as tests ask for it."""

from pathlib import Path

from modeltrail.observe import origins


def facet(event, key):
    """A facet of ours of the run."""
    return event["run"]["facets"][f"modelTrail_{key}"]


def uses(event):
    """How each input was used, by its name."""
    return {each["name"]: each["inputFacets"]["modelTrail_dataUse"] for each in event["inputs"]}


def metrics(event):
    """The metrics of the run, by name."""
    return {each["name"]: each for each in facet(event, "metrics")["metrics"]}


def params(event):
    """(component, name) -> (value, origin)."""
    return {
        (each.get("component"), each["name"]): (each["value"], each.get("origin"))
        for each in facet(event, "hyperparameters")["params"]
    }


def files(event):
    """Each output, by the last part of its name."""
    return {Path(each["name"]).name: each for each in event["outputs"]}


def points(events):
    """(name, step) -> value, of all chunks of series."""
    chunks = [event["run"]["facets"].get("modelTrail_metricSeries") for event in events]
    return {
        (each["name"], each["step"]): each["value"] for chunk in chunks if chunk for each in chunk["points"]
    }


def known(thing):
    """The names of the files that something came from."""
    origin = origins.of(thing)
    return sorted(Path(source.place).name for source in origin.sources) if origin else None


def edges(event):
    """What each output was made of, by the last part of their names."""
    return {
        Path(entry["name"]).name: {Path(source["name"]).name for source in entry["inputs"]}
        for entry in event["job"]["facets"]["lineage"]["entries"]
    }
