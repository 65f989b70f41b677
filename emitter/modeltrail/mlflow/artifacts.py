"""What goes to a server by way of its own address (`mlflow-artifacts:`), under a URI of the bridge.

MLflow works that address out of the tracking URI, of which it has to know the scheme; and what is uploaded
can be seen here for the last time.
"""

from typing import Any

from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from mlflow.tracking._tracking_service.utils import get_tracking_uri

from modeltrail.guard import guarded
from modeltrail.mlflow.names import PREFIX, plain


class BridgedArtifacts(MlflowArtifactsRepository):  # type: ignore[misc]  # MLflow is not looked into
    """MLflow's own, which it takes the place of; without the bridge nothing is different."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, **more: Any) -> None:
        found = tracking_uri or get_tracking_uri()
        self._modeltrail_uri = artifact_uri if found.startswith(PREFIX) else None
        super().__init__(artifact_uri, tracking_uri=plain(found), **more)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Upload a folder."""
        super().log_artifacts(local_dir, artifact_path)
        if self._modeltrail_uri is not None:
            with guarded("looking at a model that was uploaded"):
                from modeltrail.mlflow.models import uploading

                where = f"{self._modeltrail_uri}/{artifact_path}" if artifact_path else self._modeltrail_uri
                uploading(local_dir, where)
