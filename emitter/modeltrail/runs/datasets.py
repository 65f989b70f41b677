"""From what was seen of data to a dataset in an event."""

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from modeltrail import event, naming, standard
from modeltrail.event import Dataset
from modeltrail.facets import ModelTrailDataUseInputDatasetFacet, ModelTrailFeatureProfileInputDatasetFacet
from modeltrail.observe import choices, data, loaders, origins, paths, remade
from modeltrail.observe.data import DataView
from modeltrail.observe.members import Members
from modeltrail.runs.fits import Fit

ROLES: Final = {"TRAIN": "train", "EVALUATE": "test", "MONITOR": "inference"}
"""What data is for where nobody says: by the type of the job, else `other`."""
PROFILED: Final = 20
"""Of data from more files than that these are not profiled one by one."""
UNSEEN: Final = {"algorithm": "none", "digest": "", "scope": "none"}


class Input(msgspec.Struct):
    """A dataset that a run reads.

    Attributes:
        dataset: what it is.
        role: what for; None where nobody said.
        fingerprint: which content, in wire names.
        capture: how the reading came to be known.
        read_at: when, RFC 3339.
        use: more fields of `modelTrail_dataUse`, by attribute.
        profile: the facet `modelTrail_featureProfile`, where the columns could be looked at.
        fits: what was seen to be fitted on it.
        members: which rows it has, where they were looked at.
        others: other versions of the same name that the run reads, by version.
    """

    dataset: Dataset
    role: str | None = None
    fingerprint: Mapping[str, Any] = msgspec.field(default_factory=UNSEEN.copy)
    capture: str = "declared"
    read_at: str = msgspec.field(default_factory=event.now)
    use: dict[str, Any] = msgspec.field(default_factory=dict)
    profile: dict[str, Any] | None = None
    fits: frozenset[Fit] = frozenset()
    members: Members | None = None
    others: "dict[str, Input]" = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset, view: DataView, role: str | None, use: dict[str, Any]) -> "Input":
        """The dataset as it was seen now."""
        fingerprint = view.fingerprint.to_dict()
        return cls(dataset, role, fingerprint, view.capture, use=use, members=view.members)

    @property
    def is_model(self) -> bool:
        """Whether it is a model."""
        return self.dataset.facets.get("datasetType", {}).get("datasetType") == "MODEL"

    @property
    def version(self) -> str | None:
        """The version of a table; of a file that is read again only the last reading is told."""
        version: str | None = self.dataset.facets.get("version", {}).get("datasetVersion")
        is_file = self.dataset.namespace == naming.FILE and version == self.fingerprint["digest"]
        return None if is_file or self.dataset.namespace == naming.IN_MEMORY else version

    def beside(self, known: "Input") -> "Input | None":
        """What is known of this version already; others that were read stay beside it."""
        self.others = known.others
        if known.version is None or self.version in {None, known.version}:
            return known
        self.others = {**known.others, known.version: known}
        return self.others.pop(str(self.version), None)

    def is_chosen_apart(self, other: "Input") -> bool:
        """Whether two fits learned from the same data, each from other rows."""
        is_of_others = self.fits and other.fits and self.fits.isdisjoint(other.fits)
        return bool(is_of_others) and self.use.get("split") != other.use.get("split")

    def fitted(self, fits: frozenset[Fit], role: str | None) -> "Input":
        """This as what was fitted on, where it is sure that it was: it has the role of that data."""
        return msgspec.structs.replace(self, fits=fits) if self.role == role else self

    def written(self, role: str, possible: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
        """The JSON form among the inputs of an event; `role` where nobody gave one.

        `possible` are the outputs that it may have gone into, without anybody seeing it.
        """
        role = self.role or role
        # What it was read for is known where that is told.
        use = {name: value for name, value in self.use.items() if name != "followed" or role == "other"}
        facet = ModelTrailDataUseInputDatasetFacet(
            role=role,
            fingerprint=self.fingerprint,
            capture=self.capture,  # type: ignore[arg-type]
            read_at=self.read_at,
            possible_outputs=[{"namespace": each[0], "name": each[1]} for each in possible] or None,
            **use,
        )
        used = {**self.dataset.input_facets, facet.KEY: facet.to_dict()}
        if self.profile is not None:
            used[ModelTrailFeatureProfileInputDatasetFacet.KEY] = self.profile
        return msgspec.structs.replace(self.dataset, input_facets=used).as_input()


def look(
    given: object, *, name: str | None = None, namespace: str | None = None, version: str | None = None
) -> tuple[Dataset, DataView]:
    """The dataset that somebody means, and what can be seen of it now.

    A `Dataset` keeps its own facets; a local file that it names is looked at again, as any other.
    """
    source = loaders.look(given)[0] if loaders.is_one(given) else given
    if isinstance(given, Dataset) and given.namespace == naming.FILE:
        source = Path(given.name)
    view = data.look(source, name=name, namespace=namespace, version=version)
    seen = described(view)
    if not isinstance(given, Dataset):
        return seen, view
    return msgspec.structs.replace(
        given,
        facets={**seen.facets, **given.facets},
        input_facets={**seen.input_facets, **given.input_facets},
        output_facets={**seen.output_facets, **given.output_facets},
    ), view


def use_of(given: object, use: Mapping[str, Any]) -> dict[str, Any]:
    """The use of data, with how its rows were chosen where that is known and nothing else is said."""
    origin = origins.of(given)
    return {"split": origin.split, **use} if origin and origin.split else dict(use)


def sources(given: object, role: str | None, use: Mapping[str, Any]) -> Iterator[Input]:
    """The files that data in memory was read from, as inputs of the same role.

    `use` is said of the data; of a file it holds for columns that the file has, and for the choice of rows if
    all of them are from that file. What the rows that are left may not have come from has the role `other`.
    """
    origin = origins.of(given) or origins.Origin()
    rows = given.rows if isinstance(given, DataView) else next(iter(getattr(given, "shape", ())), None)
    doubtful = choices.doubtful(origin.parts, rows) if origin.parts and not origin.split else frozenset()
    for source in remade.behind(origin.sources):
        if source not in origin.sources:  # its rows were chosen to be written, before these were
            origin = msgspec.structs.replace(origin, split=None)
        is_known = source.state is not None and source.is_unchanged
        dataset, view, profile = _as_read(source) if is_known else _as_kept(source)
        is_sure = source not in doubtful
        used = _of_file(use, view, origin) if is_sure else {}
        found = Input.of(dataset, view, role if is_sure else "other", used)
        if getattr(given, "capture", None) == "inferred":  # what it was for, and so what they were for
            found.capture = "inferred"
        found.profile = profile if len(origin.sources) <= PROFILED else None
        yield found


@lru_cache(maxsize=paths.MAX_SOURCES)
def _as_read(source: paths.Source) -> tuple[Dataset, DataView, dict[str, Any] | None]:
    """A file that is as it was when it was read: looked at once, for however many fits."""
    profile = data.profile(source.place, layout=source.layout)
    return *look(source), None if profile is None else profile.to_dict()


def _as_kept(source: paths.Source) -> tuple[Dataset, DataView, dict[str, Any] | None]:
    """A file that was written since: what was seen of it before, if anything."""
    dataset, view = look(source)
    return dataset, view, None if view.profile is None else view.profile.to_dict()


def _of_file(use: Mapping[str, Any], view: DataView, origin: origins.Origin) -> dict[str, Any]:
    has = {name for name, _ in view.fields}
    listed = {
        key: [name for name in use.get(key, ()) if name in has] for key in ("features", "label_columns")
    }
    found: dict[str, Any] = {key: names for key, names in listed.items() if names}
    found |= {name: use[name] for name in ("label_column", "weight_column") if use.get(name) in has}
    if origin.split and len(origin.sources) == 1:
        found["split"] = origin.split
    return found


def described(view: DataView) -> Dataset:
    """The standard facets of what was seen."""
    facets: dict[str, Any] = {}
    if view.fields:
        facets["schema"] = standard.schema(view.fields)
    if view.version:
        facets["version"] = standard.dataset_version(view.version)
    if view.uri:
        facets["dataSource"] = standard.data_source(view.namespace, view.uri)
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    if view.rows is not None or view.size_bytes is not None:
        inputs["inputStatistics"] = standard.input_statistics(view.rows, view.size_bytes)
        outputs["outputStatistics"] = standard.output_statistics(view.rows, view.size_bytes)
    return Dataset(view.namespace, view.name, facets, inputs, outputs)


def is_place(text: str) -> bool:
    """Whether a text means a file or a URI: `m.joblib` does, `churn-v1.5` is a name."""
    return is_written_as_place(text) or Path(text).exists()


def is_written_as_place(text: str) -> bool:
    """Whether a text looks like a file or a URI, whatever there is."""
    return naming.is_uri(text) or os.sep in text or Path(text).suffix[1:].isalpha()
