"""Files that were renamed or written on after a run had looked at them.

Whatever writes a whole file or none renames it; whoever dumps to an open file may write more, or compress
what waits until it is closed. What counts is the name and the content that the file has in the end.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from modeltrail import naming
from modeltrail.event import Dataset
from modeltrail.observe import model as observed
from modeltrail.runs import datasets
from modeltrail.runs.facts import Facts
from modeltrail.runs.transforms import Identity
from modeltrail_schemas import digests


def follow_models(facts: Facts) -> None:
    """Give models the name that their file has now, and its digest."""
    now = _now((model.view.namespace, model.view.name) for model in facts.models)
    for model in facts.models:
        if (place := now.get((model.view.namespace, model.view.name))) is not None:
            seen = observed.look(place)
            found = model.view.format or seen.format
            model.view = msgspec.structs.replace(model.view, name=seen.name, uri=seen.uri, format=found)
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
    moved: dict[Identity, Identity] = {}
    for identity in facts.outputs.keys() & {model.identity for model in facts.models}:
        del facts.outputs[identity]
    for identity, written in list(facts.outputs.items()):
        if _is_written_on(*identity, *_content(written)):
            facts.add_output(datasets.look(Path(identity[1]))[0])
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
        facts.steps = [step.renamed(moved) for step in facts.steps]
        facts.writes.rename(moved)
        facts.reads.rename(moved)


def _now(written: Iterable[Identity]) -> dict[Identity, Path]:
    """Where files are that are no more where they were written; nothing of those that are there, or gone."""
    missing = {
        Path(identity[1]): identity
        for identity in written
        if identity[0] == naming.FILE and not Path(identity[1]).exists()
    }
    return {missing[path]: place for path, place in digests.moved(missing).items()}


def _is_written_on(namespace: str, name: str, digest: str | None, size: int | None) -> bool:
    """Whether a file has grown since it was looked at."""
    if namespace != naming.FILE or digest is None or size is None:
        return False
    return digests.is_written_on(Path(name), digest, size)


def _content(written: Dataset) -> tuple[str | None, int | None]:
    """The digest and the size that an output was seen with."""
    version = written.facets.get("version", {})
    return version.get("datasetVersion"), written.output_facets.get("outputStatistics", {}).get("size")
