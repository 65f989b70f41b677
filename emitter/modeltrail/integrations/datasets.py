"""datasets of Hugging Face: of which files or repository one is, how its rows were chosen, where it went.

What a method gives is made now, or found in the cache where an earlier process left it: it came from what the
method was called on in either case.
"""

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modeltrail.integrations import _frames, _imports, _patch
from modeltrail.integrations._frames import Function, choose, named
from modeltrail.observe import origins

NAME: Final = "datasets"
_ROWS: Final = {"select": "indices", "shard": "sequential", "skip": "sequential", "take": "sequential"}
"""Method that chooses rows -> how, if nothing else is said."""
_WRITERS: Final = ("save_to_disk", "to_csv", "to_json", "to_parquet")
_FROM_FILES: Final = (
    "from_csv",
    "from_file",
    "from_generator",
    "from_json",
    "from_parquet",
    "from_sql",
    "from_text",
)
"""Constructors that go by way of a builder, or read what a builder left."""
_ON_HUB: Final = re.compile(r"hf://datasets/[^/]+/[^/@]+(?:@[^/]+)?")
_SPLITS: Final = re.compile(r"(?:^|\+)\s*([\w.-]+)")
"""The names in `train[:10%]+test`."""


def activate() -> None:
    """Observe what datasets are loaded from, made of and written to, each kind once it is imported."""
    module = sys.modules["datasets.arrow_dataset"]
    whole = module.Dataset
    if hasattr(module, "Column"):  # since datasets 4
        _patch.follow(NAME, module.Column, "__init__", observe_column)
    _patch.follow_whole(NAME, whole, "shuffle", observe_shuffled)
    _patch.follow_whole(NAME, whole, "train_test_split", observe_split)
    _patch.follow_whole(NAME, whole, "load_from_disk", _frames.observe_read)
    for name in _ROWS:
        _patch.follow_whole(NAME, whole, name, observe_chosen)
    for name in _WRITERS:
        _patch.follow_whole(NAME, whole, name, observe_write)
    _follow_others(whole, "shuffle", "train_test_split", "load_from_disk", *_ROWS, *_WRITERS)
    _imports.when_imported("datasets.iterable_dataset", lambda module: _follow_others(module.IterableDataset))
    _imports.when_imported("datasets.builder", _follow_builders)
    _imports.when_imported("datasets.combine", _follow_joins)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _follow_builders(module: Any) -> None:
    for name in ("as_dataset", "as_streaming_dataset"):
        _patch.follow(NAME, module.DatasetBuilder, name, observe_built)


def _follow_joins(module: Any) -> None:
    _patch.follow_functions(NAME, [module.concatenate_datasets], _frames.observe_joined)
    _patch.follow_functions(NAME, [module.interleave_datasets], observe_interleaved)


def _follow_others(kind: type, *known: str) -> None:
    """The public methods that make something of a dataset, or a dataset of something."""
    for name, value in list(vars(kind).items()):
        is_known = name[0] == "_" or name in {*known, *_FROM_FILES}
        if not is_known and inspect.isroutine(getattr(value, "__func__", value)):
            _patch.follow_whole(NAME, kind, name, _frames.observe_made)


# --- where they are from ------------------------------------------------------------


def observe_built(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What a builder gives is of the files of its split, or of several."""
    del kwargs
    builder = args[0]
    files = {str(split): several for split, several in (builder.config.data_files or {}).items()}
    found = result if isinstance(result, dict) else {result.split: result}
    for split, dataset in found.items():
        names = _SPLITS.findall(str(split))
        _frames.record_read(dataset, [place for name in names for place in _places(files.get(name, ()))])
        _choose_share(dataset, names, builder.info.splits or {})


def _places(files: Sequence[str]) -> list[str]:
    """The files of a split; those in an archive as that, those of a repository of the hub as that."""
    outer = [str(each).rpartition("::")[2] for each in files]
    hub = [_ON_HUB.match(each) for each in outer]
    return list(dict.fromkeys(each if at is None else at[0] for each, at in zip(outer, hub, strict=True)))


def _choose_share(dataset: Any, names: Sequence[str], splits: Mapping[str, Any]) -> None:
    """Of `train[:10%]` the share."""
    whole = sum(splits[name].num_examples for name in names if name in splits)
    if hasattr(dataset, "num_rows") and dataset.num_rows < whole:
        share = round(dataset.num_rows / whole, 6)
        origins.choose(dataset, {"strategy": "sequential", "fraction": share})


# --- how rows were chosen ------------------------------------------------------------


def observe_chosen(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Rows that were chosen by their numbers."""
    given = named(function, args, kwargs)
    how = _ROWS[function.__name__]
    if isinstance(given.get("indices"), range):
        how = "sequential"
    elif given.get("contiguous") is False:
        how = "indices"
    origins.carry(result, args[0])
    choose(result, args[0], how, None)


def observe_column(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A single column has the rows of its dataset."""
    origins.carry(args[0], args[1] if len(args) > 1 else kwargs["source"])


def observe_shuffled(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """All rows in another order: the first of these are a random choice."""
    origins.carry(result, args[0])
    choose(result, args[0], "random", named(function, args, kwargs).get("seed"))


def observe_split(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Two parts, each with how it came about."""
    given = named(function, args, kwargs)
    is_random = given.get("shuffle", True)
    how = "stratified" if given.get("stratify_by_column") else "random" if is_random else "sequential"
    for part in result.values():
        origins.carry(part, args[0])
        choose(part, args[0], how, given.get("seed"))


def observe_interleaved(
    function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Rows of several datasets by turns; a seed says of which the next one is, where chances were given."""
    _frames.observe_joined(function, result, args, kwargs)
    given = named(function, args, kwargs)
    choose(result, result, "interleaved", given.get("seed") if given.get("probabilities") else None)


# --- where they go ------------------------------------------------------------


def observe_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A file or folder that was written is an output of the current run."""
    _frames.record_written(args[0], _frames.argument(function, args, kwargs, 1))
