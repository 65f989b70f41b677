"""From the facts of a run to its events. Each tells the whole story so far: consumers keep only the last."""

import platform
from collections.abc import Mapping
from typing import Any

import msgspec

from modeltrail import event, standard
from modeltrail.context import Parent
from modeltrail.event import EventType
from modeltrail.guard import guarded
from modeltrail.runs import learned, transforms
from modeltrail.runs.facts import LEARNED_FROM, Facts
from modeltrail.version import __version__


class Teller(msgspec.Struct, frozen=True):
    """Who a run is, in each of its events."""

    identity: Parent
    parent: Parent | None

    def tell(self, kind: EventType, facts: Facts, **run_facets: Mapping[str, Any] | None) -> dict[str, Any]:
        """An event of the whole story; `run_facets` are added to it."""
        extra = {key: facet for key, facet in run_facets.items() if facet is not None}
        roles, possible = facts.roles(), learned.possible(facts)
        return event.run_event(
            kind,
            event.now(),
            self.identity.run_id,
            self.identity.namespace,
            self.identity.name,
            run_facets={**self._run_facets(facts), **extra},
            job_facets=_job_facets(facts, final=kind != "START"),
            inputs=[
                *(
                    each.written(roles[identity], possible.get(identity, ()))
                    for identity, found in list(facts.inputs.items())
                    for each in (*found.others.values(), found)
                ),
                *(model.as_input() for model in list(facts.judged.values())),
            ],
            outputs=[
                dataset.as_output()
                for dataset in (
                    *list(facts.outputs.values()),
                    *(model.dataset(facts.declared) for model in facts.told_models()),
                )
            ],
        )

    def tell_end(self, kind: EventType, facts: Facts, error: Mapping[str, Any] | None) -> dict[str, Any]:
        """The last event; should the story not be tellable, that the run ended, which matters most."""
        with guarded("telling the story of a run"):
            return self.tell(kind, facts, errorMessage=error)
        return event.run_event(
            kind,
            event.now(),
            self.identity.run_id,
            self.identity.namespace,
            self.identity.name,
            run_facets={**self._parent(), **({"errorMessage": error} if error else {})},
            job_facets={"jobType": standard.job_type(facts.kind)},
        )

    def tell_chunk(self, facts: Facts, chunk: Mapping[str, Any]) -> dict[str, Any]:
        """A RUNNING event with a chunk of metrics.

        Inputs and outputs go by name only, since an empty list would tell Marquez that they are gone; a model
        is left out, since it may still get another name.
        """
        facets = {"modelTrail_metricSeries": chunk, **self._parent()}
        return event.run_event(
            "RUNNING",
            event.now(),
            self.identity.run_id,
            self.identity.namespace,
            self.identity.name,
            run_facets=facets,
            job_facets={"jobType": standard.job_type(facts.kind)},
            inputs=[{"namespace": namespace, "name": name} for namespace, name in list(facts.inputs)],
            outputs=[{"namespace": namespace, "name": name} for namespace, name in list(facts.outputs)],
        )

    def _parent(self) -> dict[str, Any]:
        return {"parent": self.parent.facet()} if self.parent else {}

    def _run_facets(self, facts: Facts) -> dict[str, Any]:
        facets: dict[str, Any] = {
            "processing_engine": standard.processing_engine(platform.python_version(), "Python", __version__),
            **self._parent(),
            **facts.run_facets,
            **{facet.KEY: facet.to_dict() for facet in facts.facets()},
        }
        with guarded("writing parameters as text"):
            if parameters := facts.params.execution(facts.apart()):
                facets["executionParameters"] = parameters
        if facts.tags:
            facets["tags"] = standard.tags_run(dict(facts.tags))
        return facets


def _job_facets(facts: Facts, *, final: bool) -> dict[str, Any]:
    """`lineage` only at the end: its entries add up over the events of a run, a wrong one would stay."""
    facets: dict[str, Any] = {"jobType": standard.job_type(facts.kind), **facts.job_facets}
    if (asked := facts.reads.sql()) is not None:
        facets["sql"] = asked
    if "description" in facts.declared:
        facets["documentation"] = standard.documentation_job(str(facts.declared["description"]))
    if "owner" in facts.declared:
        facets["ownership"] = standard.ownership_job({str(facts.declared["owner"]): None})
    if final:
        edges = transforms.lineage(
            [*facts.steps, *facts.writes.told()],
            {**facts.roles(), **dict.fromkeys(facts.judged, "model")},
            list(facts.outputs),
            learned.by_name(facts),
            LEARNED_FROM,
            after=facts.reads.after(list(facts.inputs)),
            behind=facts.writes.behind(),
        )
        if edges:
            facets["lineage"] = edges
    return facets
