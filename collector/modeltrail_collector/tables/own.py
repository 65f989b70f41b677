"""What a run says of one of its models, where it tells several apart: pure functions over its facets.

`modelTrail_model` of each has a `modelId`, which parameters, steps, trainings and figures name; figures also
of models that the run fitted and did not save, those of folds for instance. Which data each learned from
stands in OpenLineage's own facet `lineage`: data to learn from that leads to none is that of the others.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from modeltrail_collector.tables.differences import Facet

Name = tuple[str | None, str | None]

_OF_MODEL: Final = frozenset({("output", "modelTrail_model"), ("output_facet", "modelTrail_modelArtifact")})
LEARNED_FROM: Final = frozenset({"train", "validation", "calibration", "prompt"})
"""The roles of data that shapes a model."""
_OF_FACET: Final = frozenset({"_producer", "_schemaURL", "capture"})

OF_MAKING: Final = frozenset({
    "modelTrail_training", "modelTrail_hyperparameters", "modelTrail_environment", "modelTrail_codeState",
    "modelTrail_dataUse", "modelTrail_featureProfile", "modelTrail_featureTransformations",
    "modelTrail_metrics", "modelTrail_metricSeries", "schema", "processing_engine", "executionParameters",
    "sourceCodeLocation", "sourceCode", "sql", "columnLineage", "dataQualityAssertions",
})  # fmt: skip
"""How a run made what it made: of one that only registered a model that is no part of the model's story."""


class Own(msgspec.Struct, frozen=True):
    """What is one model's own.

    Attributes:
        model_id: what the run's facets call it.
        foreign: the inputs that other models of the run learned from, and this one did not.
        parts: what the facets call the models in it that were fitted on their own.
    """

    model_id: str
    foreign: frozenset[Name]
    parts: tuple[str, ...] = ()

    def has(self, model_id: object) -> bool:
        """Whether what is told of this `modelId` is its own, or of the run as a whole."""
        return model_id in (None, self.model_id, *self.parts)

    def params(self, rows: Iterable[dict[str, Any]], key: str = "model_id") -> list[dict[str, Any]]:
        """The parameters that are its own, each with its `modelId` under a key; its parts are components."""
        return [
            row | {"component": row[key]} if row.get(key) in self.parts else row
            for row in rows
            if self.has(row.get(key))
        ]

    def read(self, scope: str, namespace: str | None, name: str | None) -> bool:
        """Whether a facet of this scope speaks of something else than an input that it did not learn from."""
        return not (scope.startswith("input") and (namespace, name) in self.foreign)

    def part(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """A facet without what is of other models."""
        if key == "modelTrail_hyperparameters":
            return value | {"params": self.params(_objects(value.get("params")), "modelId")}
        if key == "modelTrail_featureTransformations":
            steps = _objects(value.get("steps"))
            return value | {"steps": [step for step in steps if self.has(step.get("modelId"))]}
        if key == "modelTrail_training" and isinstance(several := value.get("models"), list):
            of = {str(each.get("modelId")): each for each in _objects(several)}
            said = next((of[each] for each in (self.model_id, *self.parts) if each in of), {})
            kept = {name: value[name] for name in _OF_FACET & value.keys()}
            return {name: item for name, item in said.items() if name != "modelId"} | kept
        return value


def of_model(facets: list[Facet], model: Mapping[str, Any]) -> list[Facet]:
    """What the run with these facets says of a model (a row of `models`) that it made."""
    if only_registered(facets):
        return [facet for facet in facets if facet.key not in OF_MAKING]
    mine = own(facets, model)
    if mine is None:
        return facets
    return [
        msgspec.structs.replace(facet, value=mine.part(facet.key, facet.value))
        if isinstance(facet.value, dict)
        else facet
        for facet in facets
        if mine.read(facet.scope, facet.namespace, facet.name)
    ]


def only_registered(facets: Iterable[Facet]) -> bool:
    """Whether the run with these facets trained nothing and found what it registered, as it says itself.

    Of a run that says nothing of the bytes facets do not tell: what it read may have none. The answers, which
    have all that it read, know these too (`answers.registry.registering`); what they tell goes by that, and
    only table `changes`, which is derived of facets, by this.
    """
    facets = list(facets)
    said = {facet.key for facet in facets}
    artifacts = [facet.value for facet in facets if facet.key == "modelTrail_modelArtifact"]
    return (
        "modelTrail_registration" in said
        and "modelTrail_training" not in said
        and bool(artifacts)
        and all(isinstance(one, dict) and one.get("written") is False for one in artifacts)
    )


def own(facets: Iterable[Facet], model: Mapping[str, Any]) -> Own | None:
    """What is the own of a model (a row of `models`) that the run with these facets made.

    None where the run does not tell it apart from others: then all that it says is told of all of them. So it
    is with several versions of one name: what each of them learned from nobody can say.
    """
    said = [facet for facet in facets if isinstance(facet.value, dict)]
    ids = _ids(said)
    name = (model["namespace"], model["name"])
    named = [name] if name in ids else _holding(said, model["digest"])
    found = {model_id for each in named for model_id in ids.get(each, ())}
    if len(found) != 1:
        return None
    (mine,) = found
    learned: dict[bool, set[Name]] = {True: set(), False: set()}
    for target, source in _edges(said):
        if target in ids:
            learned[mine in ids[target]].add(source)
    if learned[True]:
        learned[False].update(_learned_from(said))
    return Own(mine, frozenset(learned[False] - learned[True]), _parts(said, mine))


def is_of(part: str, version: Mapping[str, Any]) -> bool:
    """Whether facets of this `part` are of a model version (a row of `models`), not of another one."""
    known, digest = version.get("version") or "", version["digest"]
    return part in {"", known, known.partition("+")[0]} or part.rpartition(":")[2] == digest


def _learned_from(said: Iterable[Facet]) -> Iterator[Name]:
    """The inputs that some model of the run learned from."""
    for facet in said:
        if facet.key == "modelTrail_dataUse" and facet.value.get("role") in LEARNED_FROM:
            yield facet.namespace, facet.name


def _parts(said: Iterable[Facet], mine: str) -> tuple[str, ...]:
    """What the run calls the models in this one that were fitted on their own."""
    for facet in said:
        if facet.key == "modelTrail_model" and facet.value.get("modelId") == mine:
            several = facet.value.get("partIds")
            return tuple(map(str, several)) if isinstance(several, list) else ()
    return ()


def figures(
    facets: Iterable[Facet], model: Mapping[str, Any], told: Iterable[str | None]
) -> frozenset[str | None]:
    """Which of a run's figures a model (a row of `models`) that it made is judged by, by their `modelId`.

    None is among these, for figures of the run as a whole, where it made no other model. Where it does not
    say what it calls this one, figures of one model only are taken for its own.

    Args:
        facets: of the run that made it.
        model: which one.
        told: the `modelId` of each figure of that run; None of one that has none.
    """
    said = [facet for facet in facets if isinstance(facet.value, dict)]
    if (mine := own(said, model)) is not None:
        named: set[str | None] = {mine.model_id}
    else:
        named = {each for each in told if each is not None}
        named = named if len(named) == 1 and not are_several(said) else set()
    return frozenset(named if are_several(said) else {None, *named})


def are_several(facets: Iterable[Facet]) -> bool:
    """Whether the run with these facets tells several models that it made apart."""
    said = [facet for facet in facets if isinstance(facet.value, dict)]
    ids = _ids(said)
    made: set[object] = {one for name in _made(said) for one in ids.get(name, {name})}
    return bool(ids) and len(made) > 1


def _made(said: Iterable[Facet]) -> set[Name]:
    """The outputs that are models, without those that the run only registered."""
    found: set[Name] = set()
    foreign: set[Name] = set()
    for facet in said:
        if (facet.scope, facet.key) in _OF_MODEL:
            found.add((facet.namespace, facet.name))
            if facet.value.get("written") is False:
                foreign.add((facet.namespace, facet.name))
    return found - foreign


def _ids(said: Iterable[Facet]) -> dict[Name, set[str]]:
    """What the run calls each of its models that it tells apart, by its output: several versions of one."""
    found: dict[Name, set[str]] = {}
    for facet in said:
        model_id = facet.value.get("modelId")
        if (facet.scope, facet.key) == ("output", "modelTrail_model") and isinstance(model_id, str):
            found.setdefault((facet.namespace, facet.name), set()).add(model_id)
    return found


def _holding(facets: Iterable[Facet], digest: str | None) -> Iterator[Name]:
    """The outputs that are these bytes."""
    for facet in facets:
        is_artifact = (facet.scope, facet.key) == ("output_facet", "modelTrail_modelArtifact")
        if is_artifact and str(facet.value.get("digest")).rpartition(":")[2] == digest:
            yield facet.namespace, facet.name


def _edges(facets: Iterable[Facet]) -> Iterator[tuple[Name, Name]]:
    """(output, input) of the facet `lineage`."""
    for facet in facets:
        if (facet.scope, facet.key) == ("job", "lineage"):
            yield from edges(facet.value)


def edges(lineage: Mapping[str, Any]) -> Iterator[tuple[Name, Name]]:
    """(output, input) of the value of such a facet."""
    for entry in _objects(lineage.get("entries")):
        for source in _objects(entry.get("inputs")):
            yield _name(entry), _name(source)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _name(entry: Mapping[str, Any]) -> Name:
    return str(entry.get("namespace")), str(entry.get("name"))
