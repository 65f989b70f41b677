"""Steps from raw data to features, and the edges of lineage that they prove."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

import msgspec

from modeltrail import naming, standard
from modeltrail.event import Dataset
from modeltrail.facets import param_entries, params_sha256
from modeltrail.observe import redact
from modeltrail.observe.data import DataView
from modeltrail.runs import datasets

Identity = tuple[str, str]
Seen = tuple[Dataset, DataView]

_MAX_CHOICES: Final = 50


class Transform(msgspec.Struct, frozen=True):
    """One step: what it is called, what it read, what it made."""

    id: str
    sources: tuple[Identity, ...]
    targets: tuple[Identity, ...]
    step: dict[str, Any]

    def renamed(self, moved: Mapping[Identity, Identity], kept: Collection[Identity]) -> "Transform":
        """The same, where what was written has other names now, in place of what had these.

        `kept` are inputs that lay there before: what was made of them was made of these.
        """
        gone = set(moved.values()).difference(moved)
        sources = tuple(each if each in kept else moved.get(each, each) for each in self.sources)
        targets = tuple(moved.get(each, each) for each in self.targets if each not in gone)
        return msgspec.structs.replace(self, sources=sources, targets=targets)


def look(given: object, job: str, known: Mapping[str, Dataset]) -> Seen:
    """A dataset that somebody names in a step.

    A text is the name of a dataset of this run, else a path or URI, else something inside the run, which is
    called `inmemory://` / `{job}/{text}`: the same in each run of the job.
    """
    if isinstance(given, str) and given in known:
        return known[given], DataView(*known[given].identity)
    if isinstance(given, str) and not datasets.is_place(given):
        inside = Dataset(naming.IN_MEMORY, f"{job}/{given}")
        return inside, DataView(*inside.identity)
    return datasets.look(given)


def listed(given: object) -> Sequence[object]:
    """One or several datasets as a list: a list or tuple is several, anything else is one."""
    return given if isinstance(given, list | tuple) else [given]


def make(
    name: str,
    sources: Sequence[Seen],
    targets: Sequence[Seen],
    earlier: Sequence[Transform],
    details: Mapping[str, Any],
) -> Transform:
    """The step `name`, with its id unique among the earlier ones; `details` are fields of the facet."""
    taken = {step.id for step in earlier}
    number = 2
    step_id = name
    while step_id in taken:
        step_id, number = f"{name}-{number}", number + 1
    made_by = {target: step.id for step in earlier for target in step.targets}
    inputs = [
        {"step": made_by[dataset.identity]}
        if dataset.identity in made_by
        else {"namespace": dataset.namespace, "name": dataset.name}
        for dataset, _ in sources
    ]
    step = {"id": step_id, "op": name, "inputs": inputs, **_shapes(sources, targets), **_cleaned(details)}
    return Transform(step_id, _identities(sources), _identities(targets), step)


def choices(writes: Iterable[Transform], steps: Sequence[Transform]) -> list[dict[str, Any]]:
    """How the rows of written files were chosen, of the first fifty that no step of somebody's own made."""
    made = {target for step in steps for target in step.targets}
    chosen = [write for write in writes if write.step and made.isdisjoint(write.targets)]
    return [
        {
            **write.step,
            "id": f"{write.step['op']}-{PurePath(write.targets[0][1]).name}",
            "inputs": [{"namespace": namespace, "name": name} for namespace, name in write.sources],
        }
        for write in chosen[:_MAX_CHOICES]
    ]


def _identities(seen: Iterable[Seen]) -> tuple[Identity, ...]:
    return tuple(dict.fromkeys(dataset.identity for dataset, _ in seen))


def _cleaned(details: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are given; parameters without secrets, in the values that JSON has."""
    found = {key: value for key, value in details.items() if value is not None}
    if "params" in found:
        entries = param_entries(redact.mapping(found["params"])[0])
        found["params"] = {entry["name"]: entry["value"] for entry in entries}
        found["paramsSha256"] = params_sha256(entries)
    if "code" in found:
        found["code"] = {**found["code"], "file": os.fspath(found["code"]["file"])}
    return found


def _shapes(sources: Sequence[Seen], targets: Sequence[Seen]) -> dict[str, Any]:
    """Rows and columns before and after, where all of them are known."""
    shapes: dict[str, Any] = {}
    before, after = [_rows(seen) for seen in (sources, targets)]
    if before is not None:
        shapes["rowsIn"] = before
    if after is not None:
        shapes["rowsOut"] = after
    had, has = [_columns(seen) for seen in (sources, targets)]
    if has:
        shapes["outputs"] = has
    if had and has:
        shapes["columnsAdded"] = [name for name in has if name not in had]
        shapes["columnsRemoved"] = [name for name in had if name not in has]
    return shapes


def _rows(seen: Sequence[Seen]) -> int | None:
    counts = [view.rows for _, view in seen]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _columns(seen: Sequence[Seen]) -> list[str]:
    if not all(view.fields for _, view in seen):
        return []
    return list(dict.fromkeys(name for _, view in seen for name, _ in view.fields))


def lineage(
    steps: Sequence[Transform],
    sources: Mapping[Identity, str],
    targets: Iterable[Identity],
    models: Mapping[Identity, Collection[Identity]],
    learned_from: frozenset[str],
    *,
    after: Mapping[Identity, Collection[Identity]],
    behind: Mapping[Identity, Identity],
) -> dict[str, Any] | None:
    """The facet `lineage`: what each output was really made from; None without outputs.

    What a step made comes from what the step read, which it may have replaced under its name. A model comes
    from the inputs that it learned from, so that test data is none of its sources, and from what the steps
    made of them for nobody else. Any other output comes from all inputs but what was written after it.

    Args:
        steps: the steps of the run, in order.
        sources: identity of each input -> its role.
        targets: identities of the outputs that are no models, in the order in which they were written.
        models: identity of each model that the run made -> the sources that it did not learn from.
        learned_from: the roles that shape a model.
        after: an output -> the inputs that were seen only after it was written.
        behind: an output -> the input that lay where it was written, behind that.
    """
    edges: dict[Identity, dict[Identity, None]] = {}
    for step in steps:
        for target in step.targets:
            own = (
                target if target[0] == naming.IN_MEMORY else None
            )  # there is one of it, whatever is done to it
            edges.setdefault(target, {}).update({source: None for source in step.sources if source != own})
    later = dict.fromkeys(targets)
    for target in list(later):
        left_out = {*later, *after.get(target, ())}
        edges.setdefault(target, dict.fromkeys(source for source in sources if source not in left_out))
        del later[target]
    for target in edges.keys() & behind.keys():
        edges[target][behind[target]] = None
    taught = {source for source, role in sources.items() if role in learned_from}
    read_again = {source for step in steps for source in step.sources}
    features = [target for target in edges if target[0] == naming.IN_MEMORY and target not in read_again]
    found = {model: _learned(features, taught.difference(left), edges) for model, left in models.items()}
    edges |= {
        model: {name: None for name in (*sources, *features) if name in own} for model, own in found.items()
    }
    return standard.lineage(edges) if edges else None


def _learned(
    features: Iterable[Identity], taught: set[Identity], edges: Mapping[Identity, Iterable[Identity]]
) -> set[Identity]:
    """What a model learned from: sources, and what was made of these."""
    return taught.union(feature for feature in features if _reaches(feature, taught, edges))


def _reaches(start: Identity, wanted: set[Identity], edges: Mapping[Identity, Iterable[Identity]]) -> bool:
    waiting, seen = [start], {start}
    while waiting:
        for source in edges.get(waiting.pop(), ()):
            if source in wanted:
                return True
            if source not in seen:
                seen.add(source)
                waiting.append(source)
    return False
