"""What goes to a server by way of its own address (`mlflow-artifacts:`), under a URI of the bridge.

MLflow works that address out of the tracking URI, of which it has to know the scheme.
"""

from typing import Any

from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from mlflow.tracking._tracking_service.utils import get_tracking_uri

from modeltrail.mlflow.names import plain


class BridgedArtifacts(MlflowArtifactsRepository):  # type: ignore[misc]  # MLflow is not looked into
    """MLflow's own, which it takes the place of; without the bridge nothing is different."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, **more: Any) -> None:
        found = tracking_uri or get_tracking_uri()
        super().__init__(artifact_uri, tracking_uri=plain(found), **more)
