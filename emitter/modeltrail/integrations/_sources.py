"""What a training learns from: tables as they are given to a fit, and matrices that were made of them.

A matrix is looked at when it is made, since its frame is mostly gone when it trains; only what was seen is
kept, and only as long as the matrix lives.
"""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

import msgspec

from modeltrail import naming
from modeltrail.event import Dataset
from modeltrail.facets import ModelTrailFeatureProfileInputDatasetFacet
from modeltrail.guard import warn_once
from modeltrail.observe import data, frames, likeness, loaders, origins, profiles
from modeltrail.observe.data import DataView
from modeltrail.runs import Run, datasets, learned
from modeltrail.runs.arguments import Role

MAX_DATASETS: Final = 100
"""So many datasets that its models learned from are told of a run, the first 20 with profiles: one of 20
columns takes 17 kB, and a broker takes no event of more than 1 MB."""


class Source(msgspec.Struct, frozen=True):
    """Some data, and how it is used.

    Attributes:
        data: what `run.input` takes, or a weak reference to it; None where it was not seen.
        use: arguments of `run.input`.
    """

    data: Any
    use: Mapping[str, Any]


_made: WeakKeyDictionary[Any, Source] = WeakKeyDictionary()
"""Matrix -> what it was made of."""


class _Weights(msgspec.Struct, frozen=True, eq=False, weakref=True):
    """What `origins` knows the weights by that a matrix was given, and how they look."""

    looks: object


_weights: WeakKeyDictionary[Any, _Weights] = WeakKeyDictionary()
"""Matrix -> its weights, where it is known what they came from."""
_LABELS: Final = ("labels", "label")
"""What trainers take for the target of a dataset of Hugging Face."""
_KEPT_PROFILES: Final = 8
_profiles: dict[Any, ModelTrailFeatureProfileInputDatasetFacet | None] = {}
"""Content and its columns -> how they are distributed, of the last that were seen."""


def see(features: Any, labels: Any = None, weights: Any = None, *, profiled: bool = True) -> Source:
    """What there is to be seen of features and labels; a file is looked at when it is recorded.

    Of weights the name is told, or that there are some.

    Datasets and loaders of PyTorch have both.
    """
    if isinstance(features, str | os.PathLike):
        return Source(features, {})
    if loaders.is_one(features):
        loaded, named = loaders.look(features)
        return Source(loaded, {} if named is None else {"label_column": named})
    features, labels = _whole(features), _whole(labels)
    origins.recognize(features)
    columns = frames.columns(features)  # found once, for all that look at it
    if columns is not None:
        origins.carry(columns, features)
    table, targets = data.labelled(columns or features, labels)
    if not targets and type(features).__module__ == "datasets.arrow_dataset":
        targets = [name for name in _LABELS if name in features.column_names][:1]
    view = data.look(table)
    if profiled:
        view = msgspec.structs.replace(view, profile=_profile(view, table))
    origins.carry(view, table)
    return Source(view, _use(columns if hasattr(features, "columns") else None, targets, weights))


def _whole(given: Any) -> Any:
    """A column of a dataset of Hugging Face as a table of one; what is in a column of columns as a list."""
    if type(given).__module__ != "datasets.arrow_dataset" or not hasattr(given, "column_name"):
        return given
    if not hasattr(given.source, "select_columns"):
        return list(given)
    made = given.source.select_columns([given.column_name])
    origins.carry(made, given)
    return made


def _profile(view: DataView, table: object) -> ModelTrailFeatureProfileInputDatasetFacet | None:
    """Of the same content once: a search by hand, or a score, sees what the fit before it saw."""
    key = (view.fingerprint.digest, view.fields)
    if view.fingerprint.scope != "full" or (view.rows or 0) > profiles.MAX_ROWS:
        return data.profile(table)  # a sample depends on the order of the rows
    if key not in _profiles:
        if len(_profiles) >= _KEPT_PROFILES:
            _profiles.pop(next(iter(_profiles)), None)
        _profiles[key] = data.profile(table)
    return _profiles[key]


def remember(matrix: Any, features: Any, labels: Any, weights: Any = None) -> None:
    """Keep what a matrix was made of; one without labels mostly predicts: it is looked at if it trains."""
    origins.recognize(features)
    origins.carry(matrix, features)
    if weights is not None and origins.of(weights) is not None:
        _weights[matrix] = _Weights(_looks(weights))
        origins.carry(_weights[matrix], weights)
    if labels is not None or isinstance(features, str | os.PathLike):
        _made[matrix] = see(features, labels, weights)
    else:
        with contextlib.suppress(TypeError):  # a list
            columns = frames.columns(features) if hasattr(features, "columns") else None
            _made[matrix] = Source(ref(features), _use(columns, (), weights))


def trace_weights(matrix: Any, values: Any) -> None:
    """The weights that a matrix has came from where those came from that it was given, if they are these."""
    given = _weights.get(matrix)
    if given is not None and given.looks is not None and given.looks == _looks(values):
        origins.carry(values, given)


def _looks(weights: Any) -> object:
    return likeness.mark(sys.modules["numpy"].asarray(weights))


def known(matrix: Any) -> Source:
    """What a matrix was made of."""
    try:
        return _made.setdefault(matrix, Source(None, {}))
    except TypeError:  # no matrix at all: the library is about to say so
        return Source(None, {})


def record_data(
    run: Run, trained: Source, judged: Sequence[Source], of: object = None
) -> tuple[Dataset, list[Role]]:
    """Record what a training learns from and is judged by: the dataset of the one, the roles of the others.

    The same content as is trained on is no validation.
    """
    roles: list[Role] = []
    for source in judged:
        roles.append("train" if is_same(source, trained) else "validation")
        if roles[-1] == "validation":
            record(run, source, "validation", of)
    return record(run, trained, "train", of), roles


def record(run: Run, source: Source, role: Role, of: object = None, *, name: str | None = None) -> Dataset:
    """Record data as an input, `of` what is fitted on it, if it is not one too many.

    What has no name goes by `name`, or by its role.
    """
    seen = found(run, source, role)
    if isinstance(seen, data.DataView) and seen.fingerprint.digest not in run.facts.contents:
        known = len(run.facts.inputs)
        if known >= MAX_DATASETS:
            message = "a run learns from more than %d datasets; the first are told"
            warn_once("many datasets", message, MAX_DATASETS)
            learned.record_files(run.facts, seen, role, of)
            return unseen(run, role)
        if known >= datasets.PROFILED:
            whole, seen = seen, msgspec.structs.replace(seen, profile=None)
            origins.carry(seen, whole)
    if name is not None and isinstance(seen, data.DataView):
        whole, use = seen, f"{run.name}/{name}"
        called = run.facts.called(datasets.described(whole), whole, use).name if whole.is_unnamed else use
        seen = msgspec.structs.replace(whole, name=called)
        origins.carry(seen, whole)
    for model in learned.elsewhere(origins.of(seen)) if role == "train" else ():
        run.input(model, role=role, of=of)
    return run.input(seen, role=role, capture="observed", of=of, **source.use)


def record_beside(run: Run, beside: Mapping[str, Any], of: object) -> None:
    """Record what a training learns from beside features and labels, by its name: weights, groups of rows."""
    for name, values in beside.items():
        record(run, Source(see(values).data, {}), "train", of, name=name)


def found(run: Run, source: Source, role: Role) -> Any:
    """What `run.input` takes; of data that was not seen, or that is gone, only that there is some."""
    seen = source.data() if isinstance(source.data, ref) else source.data
    return unseen(run, role) if seen is None else seen


def unseen(run: Run, role: Role) -> Dataset:
    """Data of a run of which only the role is known."""
    return Dataset(naming.IN_MEMORY, f"{run.name}/{role}")


def is_same(one: Source, other: Source) -> bool:
    """Whether two are the same content."""
    views = [each.data for each in (one, other) if isinstance(each.data, data.DataView)]
    digests = {view.fingerprint.digest for view in views}
    return one is other or (len(views) == 2 and len(digests) == 1 and digests != {""})


def _use(columns: frames.Columns | None, targets: Sequence[str], weights: Any) -> dict[str, Any]:
    names = None if columns is None else list(columns.names)
    weight = None if weights is None else str(getattr(weights, "name", None) or "weight")
    label = {"label_column": targets[0]} if len(targets) == 1 else {"label_columns": targets or None}
    found = {**label, "features": names, "weight_column": weight}
    return {name: value for name, value in found.items() if value is not None}
