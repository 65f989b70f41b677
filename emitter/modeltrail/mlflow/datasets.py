"""From a dataset that MLflow was told of to an input.

MLflow's digest is eight characters over at most 10,000 rows: it is kept as a tag, and is no fingerprint.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from modeltrail import naming, standard
from modeltrail.event import Dataset
from modeltrail.observe.data import UNSEEN, DataView
from modeltrail.runs import datasets
from modeltrail.runs.datasets import Input

Entity = tuple[str, str]
"""What MLflow calls a dataset: its name and its digest."""
CONTEXT: Final = "mlflow.data.context"
_ROLES: Final = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_RANKS: Final = (None, "other", "test", "validation", "train")
_UNNAMED: Final = "dataset"
"""What MLflow calls a dataset that nobody named."""


def inputs(run: Any, job: str, read_at: str, *, here: bool) -> Iterator[tuple[Any, Input]]:
    """Each dataset of a run's record, and the input it is."""
    for given in getattr(run.inputs, "dataset_inputs", None) or ():
        yield given.dataset, of(given, job, read_at, here=here)


def rank(used: Input) -> int:
    """How much a role says: of one dataset that is used for several things the last one counts."""
    return _RANKS.index(used.role) if used.role in _RANKS else len(_RANKS) - 1


def of(given: Any, job: str, read_at: str, *, here: bool) -> Input:
    """The input that a `DatasetInput` is, by what MLflow says of it; nothing is opened.

    Args:
        given: what MLflow was told.
        job: of the run that reads it.
        read_at: when.
        here: whether this process reads it: a relative path says where it lies only then, or if it is there.
    """
    told = given.dataset
    context = next((tag.value for tag in given.tags if tag.key == CONTEXT), None)
    role = _ROLES.get(context.lower(), "other") if context else None
    identity, version = _place(told, f"{job}/{_called(told, role)}", here=here)
    rows = _document(told.profile).get("num_rows")
    facets: dict[str, Any] = {"tags": standard.tags(_tags(told), "MLFLOW")}
    if fields := list(_fields(_document(told.schema))):
        facets["schema"] = standard.schema(fields)
    if version is not None:
        facets["version"] = standard.dataset_version(version)
    counted = {"inputStatistics": standard.input_statistics(rows)} if isinstance(rows, int) else {}
    known = identity[0] != naming.IN_MEMORY
    return Input(
        Dataset(*identity, facets, counted),
        role,
        UNSEEN.to_dict() | ({"rows": rows} if isinstance(rows, int) else {}),
        capture="declared" if known else "inferred",
        read_at=read_at,
    )


class Seen(NamedTuple):
    """A file as it is now; and the frame that MLflow has a word for, where that is not the whole of it."""

    file: Input
    frame: Input | None


def seen(told: Input) -> Seen | None:
    """What can be seen of it now: a file of this machine is read and has a fingerprint; None of any other.

    MLflow's rows and columns are those of a frame. One that differs from its file is another dataset, in
    memory, of which MLflow's word is all that is known.
    """
    if told.dataset.namespace != naming.FILE:
        return None
    dataset, view = datasets.look(told.dataset)
    if view.fingerprint.scope == "none":
        return None
    file = msgspec.structs.replace(
        told, dataset=dataset, fingerprint=view.fingerprint.to_dict(), capture="observed"
    )
    if _is_whole(told, view):
        return Seen(file, None)
    return Seen(msgspec.structs.replace(file, dataset=datasets.described(view)), told)


def parted(every: Iterable[tuple[Any, Input]], *, here: bool) -> set[tuple[str, str]]:
    """The places that several frames of a run came from, which are none of them all of it.

    Of a file that was read `here` it was seen what is.
    """
    counts = Counter(used.dataset.identity for _, used in every)
    kept = {naming.IN_MEMORY, naming.FILE} if here else {naming.IN_MEMORY}
    return {place for place, count in counts.items() if count > 1 and place[0] not in kept}


def in_memory(frame: Input, given: Any, job: str, role: str | None) -> Input:
    """A frame by the name that MLflow has for it, and with the role that the run's record says."""
    name = f"{job}/{_called(given, role)}"
    dataset = msgspec.structs.replace(frame.dataset, namespace=naming.IN_MEMORY, name=name)
    return msgspec.structs.replace(frame, dataset=dataset, role=role)


def apart(told: Sequence[tuple[Entity, Input]]) -> list[tuple[Entity, Input]]:
    """The same; frames of one name that are not one have what they are for, else their digest, behind it."""
    alike: dict[tuple[str, str], dict[Entity, str | None]] = {}
    for entity, used in told:
        if used.dataset.namespace == naming.IN_MEMORY:
            alike.setdefault(used.dataset.identity, {})[entity] = used.role
    found = []
    for entity, used in told:
        roles = list(alike.get(used.dataset.identity, {}).values())
        if len(roles) > 1:
            behind = used.role if used.role and roles.count(used.role) == 1 else entity[1]
            dataset = msgspec.structs.replace(used.dataset, name=f"{used.dataset.name}/{behind}")
            used = msgspec.structs.replace(used, dataset=dataset)  # noqa: PLW2901
        found.append((entity, used))
    return found


def _is_whole(told: Input, view: DataView) -> bool:
    """Whether a frame has the rows and columns of its file, as far as both are known."""
    rows = told.fingerprint.get("rows")
    columns = [field["name"] for field in told.dataset.facets.get("schema", {}).get("fields", ())]
    differ = (rows and view.rows and rows != view.rows) or (
        columns and view.fields and columns != [name for name, _ in view.fields]
    )
    return not differ


def _called(told: Any, role: str | None) -> str:
    """A name that is the same in each run of the job, for data of which no place is known."""
    return role or "data" if told.name == _UNNAMED else told.name


def _place(told: Any, otherwise: str, *, here: bool) -> tuple[tuple[str, str], str | None]:
    """The OpenLineage (namespace, name), and a version where the source names one."""
    source = _document(told.source)
    if told.source_type == "hugging_face" and source.get("path"):
        return (naming.HUB, f"datasets/{source['path']}"), source.get("revision")
    version = source.get("delta_table_version")
    for key in ("uri", "url", "path"):
        if isinstance(where := source.get(key), str) and where:
            relative = not here and not naming.is_uri(where) and not where.startswith(("/", "~"))
            relative = relative and not Path(where).exists()
            place = (naming.FILE, where) if relative else naming.identity(where)
            return place, None if version is None else str(version)
    if table := source.get("delta_table_name"):
        catalog = "unitycatalog" if source.get("is_databricks_uc_table") else "spark"
        return (catalog, table), None if version is None else str(version)
    if table := source.get("table_name"):
        return ("spark", table), None
    return (naming.IN_MEMORY, otherwise), None


def _document(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _tags(told: Any) -> dict[str, str]:
    said = {"name": told.name, "digest": told.digest, "sourceType": told.source_type}
    return {f"mlflow.{key}": str(value) for key, value in said.items() if value}


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """The columns of a table; of arrays only those that have names."""
    for column in schema.get("mlflow_colspec") or ():
        if isinstance(column, Mapping) and column.get("name"):
            yield str(column["name"]), str(column["type"]) if column.get("type") else None
