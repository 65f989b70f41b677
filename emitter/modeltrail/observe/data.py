"""What a dataset is called, how it is shaped and which content it has: paths, URIs, frames, arrays."""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

import msgspec

from modeltrail import naming
from modeltrail.facets import ModelTrailFeatureProfileInputDatasetFacet
from modeltrail.observe import canonical, deltatables, frames, origins, paths, tablefiles
from modeltrail.observe.layouts import Layout
from modeltrail.observe.members import Members
from modeltrail.observe.profiles import profile
from modeltrail_schemas import digests, encoding

__all__ = ["DataView", "Fingerprint", "labelled", "look", "profile"]

Scope = Literal["full", "sampled", "metadata", "none"]
Capture = Literal["observed", "declared", "inferred"]
Field = tuple[str, str | None]

ALGORITHM: Final = "modeltrail-rows-128"
FULL_BYTES: Final = 2 << 30
"""Above this many bytes (a cell of text counts as 800) a sample of blocks of rows is hashed: about 1.5 s."""
SAMPLED_BLOCKS: Final = 64
MAX_FIELDS: Final = 5000
MAX_KEPT: Final = 1000
"""Of so many files that were written over, or are gone, it is known what they held."""


class Fingerprint(msgspec.Struct, frozen=True):
    """Which content a dataset had.

    Attributes:
        algorithm: `sha256` (the bytes of a file), `sha256-tree` (a directory), `modeltrail-rows-128` (the
        rows of
            a table; see `modeltrail.observe.canonical`) or `sha256-set` (several of these), `none`.
        digest: lower hex; empty when scope is `none`.
        scope: how much of the data the digest covers.
        rows: how many rows it covers, where there are rows.
        canonicalisation: what was done to the data before it was hashed, with its version.
    """

    algorithm: str
    digest: str
    scope: Scope
    rows: int | None = None
    canonicalisation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, as in the facet `modelTrail_dataUse`."""
        return {key: value for key, value in msgspec.structs.asdict(self).items() if value is not None}


_kept: dict[paths.Source, "DataView"] = {}
"""What was read, and written over or gone since -> what was seen of it before."""

_put_away: dict[paths.Source, Path | None] = {}
"""What was read, and is not there any more -> where it lies, if it was found."""

UNSEEN: Final = Fingerprint("none", "", "none")


class DataView(msgspec.Struct, frozen=True, weakref=True):
    """What could be seen of a dataset without changing it.

    Attributes:
        namespace: the OpenLineage namespace.
        name: the OpenLineage name.
        fields: (column, type) pairs; the type is the container's own word, None where it has none (CSV).
        rows: number of rows, where known cheaply.
        size_bytes: bytes on disk, or in memory for an object.
        fingerprint: which content it had.
        capture: `observed` when the content was looked at, `declared` when only its name is known.
        version: the version given, else the digest when it covers all of the data.
        uri: where it lies, without credentials; None for an object in memory.
        profile: of data that is kept only as what was seen of it, how the values are distributed.
        members: which rows it has, of a table that was looked at as a whole.
    """

    namespace: str
    name: str
    fields: tuple[Field, ...] = ()
    rows: int | None = None
    size_bytes: int | None = None
    fingerprint: Fingerprint = UNSEEN
    capture: Capture = "declared"
    version: str | None = None
    uri: str | None = None
    profile: ModelTrailFeatureProfileInputDatasetFacet | None = None
    members: Members | None = None

    @property
    def is_unnamed(self) -> bool:
        """Whether it is data in memory that nobody gave a name: `name` is made from the content."""
        return self.namespace == naming.IN_MEMORY and self.name == content_name(self.fingerprint)


def content_name(fingerprint: Fingerprint) -> str:
    """What data in memory is called that nobody gave a name."""
    return f"data-{fingerprint.digest[:16]}"


def look(
    data: object, *, name: str | None = None, namespace: str | None = None, version: str | None = None
) -> DataView:
    """Look at a dataset: a path or URI, a frame, table, array or sparse matrix, a list of those, a `Dataset`.

    Never raises for odd data: what cannot be read has a name all the same. Local files are read (their
    digest, cheaply their columns and rows), remote ones are only named. A DataView is returned as it is, but
    for the names.
    """
    try:
        view = _view(data, version)
    except Exception:  # a guest: foreign containers fail in foreign ways
        view = DataView(naming.IN_MEMORY, _type_name(data))
    if (
        namespace is not None
        and view.namespace == naming.IN_MEMORY
        and name is None
        and isinstance(data, str)
    ):
        name = data
    digest = view.fingerprint.digest if view.fingerprint.scope == "full" else None
    return msgspec.structs.replace(
        view,
        namespace=encoding.namespace(namespace or view.namespace),
        name=naming.given(name or view.name),
        version=version or view.version or digest,
    )


def labelled(features: object, labels: object) -> tuple[object, Sequence[str]]:
    """Features and labels as the table they were cut from, to be looked at; and the labels' names, if any.

    Because neither the order of columns nor the container counts, the table of
    `labelled(frame.drop(columns="y"), frame["y"])` has the fingerprint of `frame`. Labels that do not fit the
    features, row by row, are left out.
    """
    seen = frames.columns(features)
    label = getattr(labels, "name", None)
    named: Sequence[str] = [label] if isinstance(label, str) and label else []
    truth = frames.columns(labels) if labels is not None else None
    if truth is not None and hasattr(labels, "columns"):
        named = _names_of_labels(labels, seen)
    if seen is None or truth is None or truth.rows != seen.rows:
        return features, named
    if not named and len(truth.names) == 1:
        truth = msgspec.structs.replace(truth, names=("label",))
    table = frames.beside(seen, truth)
    origins.carry(truth, labels)
    origins.carry(table, features, truth)
    rows = origins.of(features)
    if rows is not None and rows.split is not None:  # labels may have been looked up by the rows' index
        origins.choose(table, rows.split)
    return table, named


def _names_of_labels(labels: Any, features: frames.Columns | None) -> Sequence[str]:
    """The columns of a frame of labels; none where they are numbers, or called as features are."""
    names = list(labels.columns)
    taken = () if features is None else features.names
    return names if all(isinstance(name, str) and name not in taken for name in names) else []


def _view(data: object, version: str | None = None) -> DataView:
    if isinstance(data, DataView):
        return data
    if _is_named(data):
        return DataView(data.namespace, data.name)  # type: ignore[attr-defined]
    if isinstance(data, paths.Source):
        return _read(data)
    if isinstance(data, str) and not data.strip():
        return DataView(naming.IN_MEMORY, "")  # a path would be the working directory: nobody means that
    if isinstance(data, str | os.PathLike):
        return _located(cast("str | os.PathLike[str]", data), version=version)
    if _is_collection(data):
        return _collection(cast("Sequence[object]", data))
    seen = frames.columns(data)
    if seen is not None:
        return _table_view(seen)
    if hasattr(data, "tocsr") and "scipy" in sys.modules:
        return _sparse_view(data.tocsr())
    return DataView(naming.IN_MEMORY, _type_name(data), fields=_lazy_fields(data))


def _located(
    where: str | os.PathLike[str], layout: Layout | None = None, version: str | None = None
) -> DataView:
    namespace, name = naming.identity(where)
    path = naming.local_path(where)
    if path is None:
        return DataView(namespace, name, uri=naming.uri(where), version=version or naming.revision(where))
    uri = naming.file_uri(path)
    if (delta := deltatables.look(path, version)) is not None:
        return _delta(DataView(namespace, name, uri=uri), delta)
    seen = digests.digest(path)
    if seen is None:
        return DataView(namespace, name, uri=uri)
    fields, rows = tablefiles.shape(path, layout)
    fingerprint = Fingerprint(
        seen.algorithm, seen.digest, cast("Scope", seen.scope), rows, seen.canonicalisation
    )
    return DataView(namespace, name, fields, rows, seen.size_bytes, fingerprint, "observed", uri=uri)


def _delta(view: DataView, seen: deltatables.Version) -> DataView:
    """A version of a Delta table: by its number and its commit, since files of others lie beside its own."""
    known = Fingerprint("sha256", seen.commit, "metadata", seen.rows, "the commit of the version")
    return msgspec.structs.replace(
        view,
        fields=seen.fields,
        rows=seen.rows,
        size_bytes=seen.size_bytes,
        fingerprint=known if seen.commit else UNSEEN,
        capture="observed",
        version=seen.number,
    )


def _read(source: paths.Source) -> DataView:
    """A place that was read: of one that was written or renamed since, as it was then."""
    if source in _kept:
        return _kept[source]
    if source.is_unchanged:
        view = _located(source.place, source.layout, source.version)
        return msgspec.structs.replace(view, capture="observed")
    if source not in _put_away:  # all are looked for at once: a folder of them may be gone
        gone = {source, *(each for each in list(origins.last_read.values()) if not each.is_unchanged)}
        moved = digests.moved(Path(each.place) for each in gone if not Path(each.place).exists())
        if len(_put_away) >= MAX_KEPT:
            _put_away.clear()
        _put_away.update({each: moved.get(Path(each.place)) for each in gone})
    _keep(source, found := _as_it_was(source, _put_away.get(source)))
    return found


def _as_it_was(source: paths.Source, place: Path | None) -> DataView:
    """By the place that it lies at now; of what is gone by the digest that it had; else only its size."""
    path, (size, changed_at) = Path(source.place), source.state or (0, 0)
    uri = path.as_uri()  # where a link led when it was read is not known any more
    view = DataView(*naming.identity(source.place), size_bytes=size, capture="observed", uri=uri)
    if place is not None and msgspec.structs.replace(source, place=str(place)).is_unchanged:
        seen, found = _located(place, source.layout), profile(place, layout=source.layout)
        names = {"namespace": view.namespace, "name": view.name, "uri": uri}
        return msgspec.structs.replace(seen, profile=found, **names)
    known = None if path.exists() else digests.recall(path, size, changed_at)
    if known is None:
        return view
    scope = cast("Scope", known.scope)
    fingerprint = Fingerprint(known.algorithm, known.digest, scope, None, known.canonicalisation)
    return msgspec.structs.replace(view, fingerprint=fingerprint)


def keep(source: paths.Source) -> None:
    """Look at what was read from a place that is about to be written, if that still lies there."""
    if source.state is None or source in _kept or not source.is_unchanged:
        return
    _keep(source, msgspec.structs.replace(_read(source), profile=profile(source.place, layout=source.layout)))


def _keep(source: paths.Source, view: DataView) -> None:
    if len(_kept) >= MAX_KEPT:
        _kept.pop(next(iter(_kept)), None)
    _kept[source] = view


def _is_named(data: object) -> bool:
    """A dataset of ours or of openlineage-python: whatever carries the two names."""
    return isinstance(getattr(data, "namespace", None), str) and isinstance(getattr(data, "name", None), str)


def _is_collection(data: object) -> bool:
    """Several datasets, not one list of numbers or texts: paths, or things with a shape."""
    if not isinstance(data, list | tuple | set | frozenset) or not data:
        return False
    return all(isinstance(item, Path) or _is_named(item) or _has_columns(item) for item in data)


def _has_columns(item: object) -> bool:
    return not isinstance(item, list | tuple) and len(getattr(item, "shape", ())) > 0


def series(chunks: Sequence[DataView], rows: int, count: int) -> DataView:
    """One view of `count` chunks of `rows` rows in all, of which the first were looked at."""
    if not chunks:
        return DataView(naming.IN_MEMORY, "unseen", rows=rows)
    seen = _collection(chunks)
    fingerprint = seen.fingerprint
    if count > len(chunks) and fingerprint is not UNSEEN:
        how = f"{fingerprint.canonicalisation}; of the first {len(chunks)} of {count} chunks"
        fingerprint = msgspec.structs.replace(fingerprint, scope="sampled", canonicalisation=how)
    return msgspec.structs.replace(seen, name=content_name(fingerprint), rows=rows, fingerprint=fingerprint)


def _collection(items: Sequence[object]) -> DataView:
    """One view of several datasets: their rows and sizes add up, their order does not matter."""
    views = [_view(item) for item in items]
    if len(views) == 1:
        return views[0]
    digests = sorted(view.fingerprint.digest for view in views)
    scopes = {view.fingerprint.scope for view in views}
    digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    scope: Scope = scopes.pop() if len(scopes) == 1 else "none" if "none" in scopes else "sampled"
    known = [view.rows for view in views if view.rows is not None]
    rows = sum(known) if len(known) == len(views) else None
    fingerprint = Fingerprint("sha256-set", digest, scope, rows, "sha256 of the sorted digests")
    return DataView(
        views[0].namespace,
        f"set-{digest[:16]}",
        fields=views[0].fields,
        rows=rows,
        size_bytes=sum(view.size_bytes or 0 for view in views),
        fingerprint=UNSEEN if scope == "none" else fingerprint,
        capture="declared" if scope == "none" else "observed",
    )


def _table_view(seen: frames.Columns) -> DataView:
    fingerprint, members = _fingerprint(seen)
    return DataView(
        naming.IN_MEMORY,
        content_name(fingerprint),
        fields=tuple(zip(seen.names, seen.types, strict=True))[:MAX_FIELDS],
        rows=seen.rows,
        size_bytes=seen.size_bytes,
        fingerprint=fingerprint,
        capture="observed",
        members=members,
    )


def _sparse_view(matrix: Any) -> DataView:
    """A compressed sparse row matrix; it has the fingerprint of the dense one."""
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    rows, width = matrix.shape
    hashed = canonical.RowHash(list(map(str, range(width))), rows)
    hashed.add_sparse(matrix.indptr, matrix.indices, matrix.data)
    fingerprint = Fingerprint(ALGORITHM, hashed.hexdigest(), "full", rows, canonical.VERSION)
    size = int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)
    return DataView(
        naming.IN_MEMORY,
        content_name(fingerprint),
        rows=rows,
        size_bytes=size,
        fingerprint=fingerprint,
        capture="observed",
        members=hashed.members(),
    )


def _fingerprint(seen: frames.Columns) -> tuple[Fingerprint, Members | None]:
    """Hash all rows, or evenly spaced blocks of rows when there are too many."""
    affordable = FULL_BYTES // seen.row_cost
    hashed = canonical.RowHash(seen.names, seen.rows)
    if seen.rows <= max(affordable, SAMPLED_BLOCKS):
        for start in range(0, seen.rows, seen.block_rows):
            stop = min(start + seen.block_rows, seen.rows)
            hashed.add(stop - start, seen.block(start, stop))
        found = Fingerprint(ALGORITHM, hashed.hexdigest(), "full", seen.rows, canonical.VERSION)
        return found, hashed.members()
    size = max(1, affordable // SAMPLED_BLOCKS)
    for index in range(SAMPLED_BLOCKS):
        first = index * (seen.rows - size) // (SAMPLED_BLOCKS - 1)
        for start in range(first, first + size, seen.block_rows):
            stop = min(start + seen.block_rows, first + size)
            hashed.add(stop - start, seen.block(start, stop))
    how = f"{SAMPLED_BLOCKS} evenly spaced blocks of {size} of {seen.rows} rows"
    digest = hashed.hexdigest(how)
    return Fingerprint(ALGORITHM, digest, "sampled", hashed.rows, f"{canonical.VERSION}; {how}"), None


def _lazy_fields(data: object) -> tuple[Field, ...]:
    """The columns of a polars LazyFrame, which is not collected for our sake."""
    schema = getattr(data, "collect_schema", None)
    if schema is None or not type(data).__module__.startswith("polars"):
        return ()
    return tuple((name, str(dtype)) for name, dtype in schema().items())


def _type_name(data: object) -> str:
    return f"{type(data).__module__}.{type(data).__qualname__}"
