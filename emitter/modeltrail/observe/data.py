"""What a dataset is called, what it looks like and which content it has: paths, URIs, frames, tables, arrays."""

from typing import Any, Literal

import attrs


Scope = Literal["full", "sampled", "metadata", "none"]
Capture = Literal["observed", "declared", "inferred"]


@attrs.frozen
class Fingerprint:
    """Which content a dataset had.

    Attributes:
        algorithm: `sha256` (the bytes of a file), `sha256-tree` (a directory), `modeltrail-rows-128` (a table's rows).
        digest: lower hex; empty when scope is `none`.
        scope: how much of the data the digest covers.
        rows: how many rows it covers, where there are rows.
        canonicalisation: what was done to the values before they were hashed, with its version.
    """

    algorithm: str
    digest: str
    scope: Scope
    rows: int | None = None
    canonicalisation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, as in the facet `modelTrail_dataUse`."""
        return {key: value for key, value in attrs.asdict(self).items() if value is not None}


UNSEEN = Fingerprint("none", "", "none")


@attrs.frozen
class DataView:
    """What could be seen of a dataset without changing it.

    Attributes:
        namespace: the OpenLineage namespace.
        name: the OpenLineage name.
        fields: (column, type) pairs; the type is the container's own word for it.
        rows: number of rows, where known cheaply.
        size_bytes: bytes on disk, or in memory for an object.
        fingerprint: which content it had.
        capture: `observed` when the content was looked at, `declared` when only its name is known.
        version: the version given, else the digest when it covers all of the data.
        uri: where it lies, without credentials; None for an object in memory.
    """

    namespace: str
    name: str
    fields: tuple[tuple[str, str], ...] = ()
    rows: int | None = None
    size_bytes: int | None = None
    fingerprint: Fingerprint = UNSEEN
    capture: Capture = "declared"
    version: str | None = None
    uri: str | None = None
