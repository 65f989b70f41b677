"""The facet `modelTrail_subjects`: an index of the persons in a dataset, written once, and where it lies."""

import os
import secrets
from pathlib import Path

import msgspec

from modeltrail import guard, settings
from modeltrail.errors import ConfigError
from modeltrail.event import Dataset
from modeltrail.facets import ModelTrailSubjectsDatasetFacet
from modeltrail.observe.subjects import pseudonyms
from modeltrail_schemas import subjects

SUFFIX = ".subjects"


def indexed(dataset: Dataset, data: object, column: str | None) -> Dataset:
    """The dataset with the facet, where its persons can be told; without it, and a line in the log, else."""
    if column is None:
        return dataset
    with guard.guarded("indexing subjects"):
        key, directory = _configured()
        with guard.guarded(f"indexing the subjects in column {column!r} of {dataset.name}"):
            found = pseudonyms(data, column, key)
            content = subjects.index(found)
            digest = subjects.sha256(content)
            path = directory / f"{digest}{SUFFIX}"
            _write(path, content)
            facet = ModelTrailSubjectsDatasetFacet(
                key_column=column,
                count=len(found),
                index={
                    "uri": path.as_uri(),
                    "method": subjects.METHOD,
                    "keyId": subjects.key_id(key),
                    "sha256": digest,
                },
            )
            return msgspec.structs.replace(dataset, facets={**dataset.facets, facet.KEY: facet.to_dict()})
    return dataset


def _configured() -> tuple[bytes, Path]:
    """The key, and the directory of the indexes."""
    now = settings.current()
    if now.subjects_key is None or now.subjects_index is None:
        raise ConfigError(
            "which persons a dataset holds is not recorded: set MODELTRAIL_SUBJECTS_KEY to the file of a key "
            f"({subjects.NEW_KEY}) and MODELTRAIL_SUBJECTS_INDEX to a directory"
        )
    try:
        return subjects.read_key(now.subjects_key), now.subjects_index
    except OSError as error:
        raise ConfigError(f"the key of subjects cannot be read: {error}") from error


def _write(path: Path, content: bytes) -> None:
    """Named by its content it is the same whoever writes it; never seen half written."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
