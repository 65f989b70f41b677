"""A real Feast in an environment of its own, which `make interop` installs: its lineage server, on SQLite."""

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from interop.programs import FEAST, answers, free_port, until

CONFIG = """
project: lineage
provider: local
registry: {{registry_type: sql, path: "sqlite:///{folder}/registry.db"}}
openlineage: {{enabled: false, consumer: {{enabled: true, retention_days: 0}}}}
"""


class Feast:
    """A lineage server, as its clients see it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._api = f"{url}/api/v1/lineage"
        self._session = requests.Session()

    def send(self, values: Iterable[bytes]) -> list[int]:
        """The status of its answer to each event, sent one after the other."""
        headers = {"Content-Type": "application/json"}
        return [self._session.post(self._api, data=value, headers=headers).status_code for value in values]

    def get(self, path: str, **query: object) -> Any:
        """What it shows at a path."""
        answer = self._session.get(f"{self._api}/openlineage/{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    def runs(self) -> dict[str, Mapping[str, Any]]:
        """The run of each job; of several the one that was told of last."""
        return {run["job_name"]: run for run in reversed(self.get("runs", limit=500)["runs"])}

    def tree(self, run_id: str) -> dict[str, str | None]:
        """Of each job in the tree that a run is in, the job above."""
        found = self.get(f"runs/{run_id}/tree")["runs"]
        names = {run["run_id"]: run["job_name"] for run in found}
        return {run["job_name"]: names.get(run["parent_run_id"]) for run in found}

    def data_flow(self) -> set[str]:
        """`from → to` for each edge of the graph on which data goes into a job or comes out of one."""
        flow = [edge for edge in self.get("graph")["edges"] if edge["edge_type"] in {"input", "output"}]
        return {f"{edge['source_name']} → {edge['target_name']}" for edge in flow}

    def close(self) -> None:
        self._session.close()


@contextmanager
def lineage_server(folder: Path) -> Iterator[Feast]:
    """`feast serve_lineage` for the block, in a folder that is made."""
    folder.mkdir()
    (folder / "feature_store.yaml").write_text(CONFIG.format(folder=folder))
    port = free_port()
    with (folder / "feast.log").open("w") as log:
        command = [FEAST / "bin/feast", "serve_lineage", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    feast = Feast(f"http://127.0.0.1:{port}")
    try:
        until(lambda: process.poll() is not None or answers(port))
        assert process.poll() is None, (folder / "feast.log").read_text()
        yield feast
    finally:
        feast.close()
        process.terminate()
        process.wait(60)
