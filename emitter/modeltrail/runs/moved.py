"""Files that were renamed after a run had written them, as whatever writes a whole file or none does.

What counts is the name that the file has in the end: others read it by that.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from modeltrail import naming
from modeltrail.observe import model as observed
from modeltrail.runs import datasets
from modeltrail.runs.facts import Facts
from modeltrail.runs.transforms import Identity, Transform
from modeltrail_schemas import digests


def follow_models(facts: Facts) -> None:
    """Give models the name that their file has now."""
    now = _now((model.view.namespace, model.view.name) for model in facts.models)
    for model in facts.models:
        if (place := now.get((model.view.namespace, model.view.name))) is not None:
            seen = observed.look(place)
            found = model.view.format or seen.format
            model.view = msgspec.structs.replace(model.view, name=seen.name, uri=seen.uri, format=found)


def follow_outputs(facts: Facts) -> None:
    """Give other outputs the name that they have now, also where the run read them by the other one."""
    moved: dict[Identity, Identity] = {}
    for identity, place in _now(facts.outputs).items():
        seen, written = datasets.look(place)[0], facts.outputs.pop(identity)
        facts.add_output(msgspec.structs.replace(seen, facets={**written.facets, **seen.facets}))
        moved[identity] = seen.identity
    for identity in moved.keys() & facts.inputs.keys():
        found = facts.inputs.pop(identity)
        dataset, view = datasets.look(naming.local_path(moved[identity][1]))
        fresh = datasets.Input.of(dataset, view, found.role, found.use)
        known = found.fingerprint if found.fingerprint["scope"] != "none" else fresh.fingerprint
        facts.inputs[dataset.identity] = msgspec.structs.replace(found, dataset=dataset, fingerprint=known)
    if moved:
        facts.steps = [_renamed(step, moved) for step in facts.steps]
        facts.writes = {moved.get(key, key): _renamed(step, moved) for key, step in facts.writes.items()}
        facts.reads.rename(moved)


def _now(written: Iterable[Identity]) -> dict[Identity, Path]:
    """Where files are that are no more where they were written; nothing of those that are there, or gone."""
    missing = {
        Path(identity[1]): identity
        for identity in written
        if identity[0] == naming.FILE and not Path(identity[1]).exists()
    }
    return {missing[path]: place for path, place in digests.moved(missing).items()}


def _renamed(step: Transform, moved: dict[Identity, Identity]) -> Transform:
    sources, targets = (
        tuple(moved.get(each, each) for each in side) for side in (step.sources, step.targets)
    )
    return msgspec.structs.replace(step, sources=sources, targets=targets)
