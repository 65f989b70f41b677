"""Files that were renamed or written on after a run had looked at them.

Whatever writes a whole file or none renames it; whoever dumps to an open file may write more, or compress
what waits until it is closed. What counts is the name and the content that the file has in the end.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from modeltrail import naming
from modeltrail.event import Dataset
from modeltrail.observe import model as observed
from modeltrail.runs import datasets
from modeltrail.runs.facts import Facts
from modeltrail.runs.models import Model
from modeltrail.runs.transforms import Identity
from modeltrail_schemas import digests

AMONG: Final = 2000
"""So many entries are looked at for what was renamed before a file was written anew in its place."""


def follow_models(facts: Facts) -> None:
    """Give models the name that their file has now, and its digest."""
    _rename_models(facts, _now((model.view.namespace, model.view.name) for model in facts.models))
    for model in facts.models:
        if _is_written_on(model.view.namespace, model.view.name, model.view.digest, model.view.size_bytes):
            seen = observed.look(Path(model.view.name))
            model.view = msgspec.structs.replace(
                model.view,
                digest=seen.digest,
                digest_algorithm=seen.digest_algorithm,
                size_bytes=seen.size_bytes,
            )


def follow_outputs(facts: Facts) -> None:
    """Give other outputs the name and the content that they have now; what a model lies in too is that.

    Also where the run read them by the other name.
    """
    for identity in facts.outputs.keys() & {model.identity for model in facts.models}:
        del facts.outputs[identity]
    for identity, written in list(facts.outputs.items()):
        if _is_written_on(*identity, *_content(written)):
            facts.add_output(datasets.look(Path(identity[1]))[0])
    _rename_outputs(facts, _now(facts.outputs))


def before_again(facts: Facts, place: Identity) -> None:
    """What the run put out at a place, where another file lies now, goes by the name that it has by now.

    Looked for is nearby, since a loop may do so often; and so before the other one is looked at.
    """
    if place in facts.outputs and (now := _now([place], AMONG)):
        _rename_outputs(facts, now)
    if any(_place(model) == place for model in facts.models) and (now := _now([place], AMONG)):
        _rename_models(facts, now)


def _rename_models(facts: Facts, now: Mapping[Identity, Path]) -> None:
    """Models lie there now; what lay there before, and has no other name, is gone."""
    moved = {identity: naming.identity(place) for identity, place in now.items()}
    for model in list(facts.models):
        if (place := now.get(_place(model))) is not None:
            seen = observed.look(place)
            found = model.view.format or seen.format
            model.view = msgspec.structs.replace(model.view, name=seen.name, uri=seen.uri, format=found)
        elif _place(model) in moved.values() and model.name is None:
            model.is_written_over = True
            facts.models.remove(model)


def _rename_outputs(facts: Facts, now: Mapping[Identity, Path]) -> None:
    """Outputs lie there now, in place of what the run had put out there before."""
    if not now:
        return
    written = {identity: facts.outputs.pop(identity) for identity in now}
    moved: dict[Identity, Identity] = {}
    for identity, place in now.items():
        seen = datasets.look(place)[0]
        facts.add_output(msgspec.structs.replace(seen, facets={**written[identity].facets, **seen.facets}))
        moved[identity] = seen.identity
    kept = facts.writes.over()
    own = {identity: facts.inputs.pop(identity) for identity in moved.keys() & facts.inputs.keys() - kept}
    for identity, found in own.items():
        dataset, view = datasets.look(naming.local_path(moved[identity][1]))
        fresh = datasets.Input.of(dataset, view, found.role, found.use)
        known = found.fingerprint if found.fingerprint["scope"] != "none" else fresh.fingerprint
        facts.add_source(msgspec.structs.replace(found, dataset=dataset, fingerprint=known))
    facts.steps = [step.renamed(moved, kept) for step in facts.steps]
    facts.writes.rename(moved)
    facts.reads.rename(moved)


def _place(model: Model) -> Identity:
    return model.view.namespace, model.view.name


def _now(written: Iterable[Identity], among: int = digests.MAX_TREE_FILES) -> dict[Identity, Path]:
    """Where files are that are no more where they were written; nothing of those that are there, or gone."""
    missing = {
        Path(identity[1]): identity
        for identity in written
        if identity[0] == naming.FILE and not digests.is_there(Path(identity[1]))
    }
    return {missing[path]: place for path, place in digests.moved(missing, among).items()}


def _is_written_on(namespace: str, name: str, digest: str | None, size: int | None) -> bool:
    """Whether a file has grown since it was looked at."""
    if namespace != naming.FILE or digest is None or size is None:
        return False
    return digests.is_written_on(Path(name), digest, size)


def _content(written: Dataset) -> tuple[str | None, int | None]:
    """The digest and the size that an output was seen with."""
    version = written.facets.get("version", {})
    return version.get("datasetVersion"), written.output_facets.get("outputStatistics", {}).get("size")
