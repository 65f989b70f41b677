"""The common shape of the events: facets with their `_schemaURL`, datasets, run events."""

import functools
import importlib
from collections.abc import Mapping

from benchmarks.corpus.values import Values

Json = dict[str, object]
CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"


@functools.cache
def standard_url(module: str, name: str) -> str:
    """The `_schemaURL` the installed openlineage-python gives its facet class."""
    return getattr(importlib.import_module(f"openlineage.client.generated.{module}"), name)._get_schema()  # noqa: SLF001  its only source


class Producer:
    """One OpenLineage producer: every facet it writes carries its name."""

    def __init__(self, uri: str, integration: str) -> None:
        self.uri = uri
        self.integration = integration

    def facet(self, url: str, fields: Mapping[str, object]) -> Json:
        return {"_producer": self.uri, "_schemaURL": url, **fields}

    def standard(self, module: str, name: str, /, **fields: object) -> Json:
        return self.facet(standard_url(module, name), fields)

    def run_event(
        self, kind: str, fresh: Values, *, job: Json, facets: Json, inputs: list, outputs: list
    ) -> Json:
        return {
            "eventType": kind,
            "eventTime": fresh.time(),
            "producer": self.uri,
            "schemaURL": f"{CORE}RunEvent",
            "run": {"runId": fresh.uuid(), "facets": facets},
            "job": job,
            "inputs": inputs,
            "outputs": outputs,
        }

    def job_type(self, kind: str) -> Json:
        return self.standard(
            "job_type_job",
            "JobTypeJobFacet",
            integration=self.integration,
            jobType=kind,
            processingType="BATCH",
            emissionPattern={"eventContentMode": "ACCUMULATIVE", "eventTrigger": "EVENT_BASED"},
        )

    def parent(self, values: Values, fresh: Values, namespace: str) -> Json:
        root = {"namespace": namespace, "name": values.name()}
        return self.standard(
            "parent_run",
            "ParentRunFacet",
            run={"runId": fresh.uuid()},
            job={"namespace": namespace, "name": f"{root['name']}.{values.name(3)}"},
            root={"run": {"runId": fresh.uuid()}, "job": root},
        )

    def engine(self, name: str, version: str) -> Json:
        return self.standard(
            "processing_engine_run",
            "ProcessingEngineRunFacet",
            name=name,
            version=version,
            openlineageAdapterVersion="1.54.0",
        )

    def schema(self, columns: list[tuple[str, str]]) -> Json:
        fields = [{"name": name, "type": kind} for name, kind in columns]
        return self.standard("schema_dataset", "SchemaDatasetFacet", fields=fields)

    def nominal_time(self, fresh: Values) -> Json:
        return self.standard(
            "nominal_time_run",
            "NominalTimeRunFacet",
            nominalStartTime=fresh.time(),
            nominalEndTime=fresh.time(),
        )

    def data_source(self, name: str, uri: str) -> Json:
        return self.standard("datasource_dataset", "DatasourceDatasetFacet", name=name, uri=uri)

    def column_lineage(self, values: Values, columns: list[str], sources: list[Json], width: int) -> Json:
        def source() -> Json:
            table = values.pick(*sources)
            change = {
                "type": values.pick("DIRECT", "INDIRECT"),
                "subtype": "TRANSFORMATION",
                "description": "",
                "masking": False,
            }
            return {
                "namespace": table["namespace"],
                "name": table["name"],
                "field": values.name(),
                "transformations": [change],
            }

        fields = {
            name: {"inputFields": [source() for _ in range(values.integer(1, width))]} for name in columns
        }
        return self.standard("column_lineage_dataset", "ColumnLineageDatasetFacet", fields=fields)


def columns(values: Values, low: int, high: int) -> list[tuple[str, str]]:
    return [(name, values.column_type()) for name in values.names(values.integer(low, high))]
