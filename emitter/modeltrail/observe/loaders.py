"""What a Dataset or DataLoader of PyTorch holds: its rows as a table, and the files that these came from.

Nothing is asked of a dataset but its length: what it holds lies in its attributes. To go through it would
run the host's own code, and draw from its random numbers.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from modeltrail import naming
from modeltrail.observe import choices, data, frames, origins, paths
from modeltrail.observe.data import DataView, Fingerprint
from modeltrail.observe.frames import Block, Columns

MAX_DEPTH: Final = 4
MAX_PARTS: Final = 100
"""So many datasets that one is made of are looked at."""

MAX_LISTED: Final = 1000
"""So many texts or numbers of a list are looked at from either end."""

MAX_COPY: Final = 64 << 20
"""Chosen rows of at most so many bytes are copied at once, of more a block whenever that is looked at."""

_WEB: Final = ("http://", "https://")

Rows = Sequence[int] | None
"""The numbers of chosen rows; None for all."""


def is_one(thing: object) -> bool:
    """Whether something is a Dataset or DataLoader of PyTorch."""
    module: Any = sys.modules.get("torch.utils.data")
    return module is not None and isinstance(thing, module.Dataset | module.DataLoader)


def look(thing: object) -> tuple[DataView, str | None]:
    """What there is to be seen of a Dataset or DataLoader, and the name of its label, if it has one.

    The view has the origin of all that the dataset holds. Where that has no rows to look at, images in a
    folder say, the digest is over which files and rows they are, and not over what is in them.
    """
    whole, rows = _chosen(thing)
    held = list(_held(whole))
    places = _outermost([place for each in held for place in _places(each)])
    table, label = _table(whole, rows)
    if table is None:
        view = _unseen(whole, rows, places)
    else:
        view = msgspec.structs.replace(data.look(table), profile=data.profile(table))
    origins.read(view, places)
    origins.carry(view, whole, *held)
    split = None if rows is None else _split(thing, rows, _length(whole))
    origins.carry(thing, view)
    if split is not None:
        origins.choose(thing, split)
        origins.choose(view, split)
    return view, label


def batches(loader: Any) -> Any:
    """What makes the batches of a DataLoader: its sampler of batches, or that which this has inside.

    A loader that was given one, as accelerate gives it one, knows neither the size of a batch nor the order
    of rows. It is the loader itself where rows come one by one.
    """
    found = loader.batch_sampler
    while (inner := getattr(found, "batch_sampler", None)) is not None:
        found = inner
    return loader if found is None else found


def base(thing: object) -> Any:
    """The dataset that a DataLoader goes through, or a subset is of."""
    return _chosen(thing)[0]


def _chosen(thing: Any) -> tuple[Any, Rows]:
    """The dataset that holds the rows, and which of them are meant."""
    rows: Rows = None
    for layer in _layers(thing):
        chosen = _numbers(layer)
        if chosen is not None:
            rows = chosen if rows is None else [chosen[row] for row in rows]
        thing = layer
    return thing, rows


def _layers(thing: Any) -> Iterator[Any]:
    """A loader's sampler where that chooses rows, then dataset below dataset: the last has the rows."""
    module: Any = sys.modules["torch.utils.data"]
    if isinstance(thing, module.DataLoader):
        sampler = getattr(batches(thing), "sampler", None)
        if isinstance(sampler, module.SubsetRandomSampler):
            yield sampler
        thing = thing.dataset
    while isinstance(thing, module.Subset):
        yield thing
        thing = thing.dataset
    yield thing


def _numbers(layer: Any) -> Rows:
    """The rows that a subset or sampler chooses; `indices` of a user's dataset are anything."""
    module: Any = sys.modules["torch.utils.data"]
    if not isinstance(layer, module.Subset | module.SubsetRandomSampler):
        return None
    indices: Any = layer.indices
    if isinstance(indices, list | tuple | range):
        return indices
    return indices.tolist() if hasattr(indices, "tolist") else list(indices)


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except Exception:  # the host's own code; one that streams has none
        return None


# --- what is held ------------------------------------------------------------


def _parts(dataset: Any) -> Mapping[str, Any]:
    """What a dataset holds, by name."""
    tensors = getattr(dataset, "tensors", None)
    if isinstance(tensors, tuple):
        names = ["features", "label"] if len(tensors) == 2 else list(map(str, range(len(tensors))))
        return dict(zip(names, tensors, strict=True))
    if frames.columns(dataset) is not None:
        return {"data": dataset}
    return vars(dataset) if hasattr(dataset, "__dict__") else {}


def _held(dataset: Any, depth: int = MAX_DEPTH) -> Iterator[Any]:
    """All that a dataset holds, and the datasets that it is made of."""
    for part in _parts(dataset).values():
        texts = (str, os.PathLike)
        for each in (part, *(each for each in _several(part, MAX_PARTS) if not isinstance(each, texts))):
            if depth and is_one(each):
                yield from _held(base(each), depth - 1)
            elif not is_one(each):
                yield each


def _several(part: Any, most: int) -> Iterator[Any]:
    """The first of what a list or mapping holds."""
    held = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()
    yield from islice(held, most)


def _places(held: Any) -> list[str]:
    """The files and folders that a path means, or several of them.

    A text is data, whatever it begins with (`User: hello.`), and so are several addresses of the web.
    """
    several = [each for each in _several(held, paths.MAX_SOURCES + 1) if _is_place(each)]
    found = [held] if _is_place(held) else [each for each in several if not str(each).startswith(_WEB)]
    try:
        return paths.places(found)
    except (OSError, ValueError):  # a text that is no path after all
        return []


def _is_place(thing: Any) -> bool:
    """Whether something is written as a path is, or as a URI."""
    if not isinstance(thing, str):
        return isinstance(thing, os.PathLike)
    if naming.is_uri(thing):
        return ":/" in thing and thing.split() == [thing]
    return os.sep in thing or bool(Path(thing).suffix)


def _outermost(places: Sequence[str]) -> list[str]:
    """Without those that lie in another one."""
    known = set(places)
    return [place for place in dict.fromkeys(places) if known.isdisjoint(map(str, Path(place).parents))]


def _table(dataset: Any, rows: Rows) -> tuple[Columns | None, str | None]:
    """What it holds of each row, side by side."""
    count = _length(dataset)
    seen: dict[str, Columns] = {}
    wanted = None if rows is None else sys.modules["numpy"].asarray(rows)
    for name, part in _parts(dataset).items():
        if not isinstance(part, list | tuple) and count and getattr(part, "shape", (None,))[:1] == (count,):
            columns = _columns(part, wanted)
            if columns is not None:
                is_named = hasattr(part, "columns") or isinstance(getattr(part, "name", None), str)
                names = (name,) if len(columns.names) == 1 and not is_named else columns.names
                taken = {each for other in seen.values() for each in other.names}
                if taken & set(names):
                    names = tuple(f"{name}.{each}" for each in names)
                seen[name] = msgspec.structs.replace(columns, names=names)
    label = seen["label"].names[0] if "label" in seen and len(seen["label"].names) == 1 else None
    return (reduce(frames.beside, seen.values()) if seen else None), label


def _columns(part: Any, wanted: Any) -> Columns | None:
    """The chosen rows of what a dataset holds; block by block where there may be no room for a copy."""
    whole = frames.columns(part)
    if whole is None or wanted is None:
        return whole
    size = whole.size_bytes * len(wanted) // max(1, whole.rows)
    if size <= MAX_COPY:
        return frames.columns(_taken(part, wanted))

    def block(start: int, stop: int) -> Block:
        taken = frames.columns(_taken(part, wanted[start:stop]))
        yield from taken.block(0, stop - start) if taken is not None else ()

    return msgspec.structs.replace(whole, rows=len(wanted), size_bytes=size, block=block)


def _taken(part: Any, rows: Any) -> Any:
    if hasattr(part, "untyped_storage"):
        return part.index_select(0, sys.modules["torch"].from_numpy(rows).to(part.device))
    if hasattr(part, "iloc"):
        return part.iloc[rows]
    if type(part).__module__ == "datasets.arrow_dataset":
        return part.select(rows)
    return part.take(rows) if type(part).__module__.startswith("pyarrow") else part[rows]


def _unseen(dataset: Any, rows: Rows, places: Sequence[str]) -> DataView:
    """Data that is known by what it is called only, and by what lists say of each of its rows."""
    kind = f"{type(dataset).__module__}.{type(dataset).__qualname__}"
    count = _length(dataset) if rows is None else len(rows)
    lists = _said(dataset)
    what = [kind, count, sorted(places), None if rows is None else _digest(rows), *([lists] if lists else ())]
    digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    how = "sha256 of the class, the number of rows, the files and the numbers of the rows"
    how += ", and of the lists of as many texts or numbers" if lists else ""
    fingerprint = Fingerprint("sha256", digest, "metadata", count, how)
    name = data.content_name(fingerprint)
    return DataView("inmemory://", name, rows=count, fingerprint=fingerprint, capture="observed")


def _said(dataset: Any) -> dict[str, str]:
    """Of each list of as many texts or numbers as a dataset has rows a digest, of the first and last ones."""
    count = _length(dataset)
    found: dict[str, str] = {}
    for name, part in _parts(dataset).items():
        if isinstance(part, list | tuple) and part and len(part) == count:
            some = [*part[:MAX_LISTED], *part[-MAX_LISTED:]]
            if all(type(each) in {str, int, float} for each in some):
                found[name] = hashlib.sha256(json.dumps(some).encode()).hexdigest()
    return found


# --- how rows were chosen ------------------------------------------------------------


def _split(thing: Any, rows: Sequence[int], count: int | None) -> Mapping[str, Any]:
    """As in `modelTrail_dataUse`; how they were chosen, where that was seen or can be told.

    Each layer chose of what the one below it left.
    """
    found: Mapping[str, Any] = {}
    for layer in reversed(list(_layers(thing))):
        chosen = _numbers(layer)
        if chosen is None:
            continue
        known = [origin.split for each in (layer, layer.indices) if (origin := origins.of(each))]
        seen = next(filter(None, known), {})
        share = {"fraction": round(len(chosen) / count, 6)} if count else {}
        own = {"strategy": _strategy(chosen), **share, **seen}
        found = seen if "earlier" in seen else choices.after(found, own)
        count = len(chosen)
    return {**found, "indexSha256": _digest(rows)}


def _strategy(rows: Sequence[int]) -> str:
    """What the numbers of rows alone tell of how they were chosen."""
    ends = (rows[0], rows[0] + len(rows)) if rows else (0, 0)
    is_run = bool(rows) and rows[-1] == ends[1] - 1 and list(rows) == list(range(*ends))
    return "sequential" if is_run else "indices"


def _digest(rows: Sequence[int]) -> str:
    """Of the numbers of the rows as JSON, with a blank after each comma."""
    text = msgspec.json.encode(list(rows), enc_hook=int)  # those of numpy are no numbers to it
    return hashlib.sha256(text.replace(b",", b", ")).hexdigest()
