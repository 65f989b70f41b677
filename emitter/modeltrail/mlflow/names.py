"""What MLflow's ids, URIs and times are in OpenLineage: the same whoever tells of them, and when."""

import datetime as dt
import os
import uuid
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from modeltrail import naming
from modeltrail_schemas import encoding

PREFIX: Final = "modeltrail+"
_DATABASE_FILE: Final = "sqlite"
_LIVE: Final = dt.timedelta(microseconds=999)


def plain(uri: str) -> str:
    """The URI that MLflow itself knows."""
    return uri.removeprefix(PREFIX)


def run_id(mlflow_id: str) -> str:
    """The OpenLineage id of an MLflow run: its own, which is a UUID nearly everywhere, else made of it."""
    try:
        return str(uuid.UUID(mlflow_id))
    except ValueError:
        return made_id("run", mlflow_id)


def made_id(*parts: str) -> str:
    """A UUID that is the same for the same parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(("mlflow:", *parts))))


def namespace(uri: str) -> str:
    """The namespace of the models of a server or store, without credentials and drivers.

    >>> namespace("https://user:secret@mlflow.example:5000/team/")
    'mlflow://mlflow.example:5000/team'
    >>> namespace("sqlite:////srv/mlflow.db")
    'mlflow:///srv/mlflow.db'
    >>> namespace("postgresql+psycopg2://user:secret@db:5432/mlflow")
    'mlflow://db:5432/mlflow'
    >>> namespace("databricks://prod")
    'mlflow://databricks/prod'
    """
    return encoding.namespace(_namespace(uri))


def place(uri: str) -> Path | None:
    """The folder or database file of a store on this machine; None of any other."""
    parts = urlsplit(plain(uri))
    if uri.startswith("databricks"):  # by itself it is the one of the environment
        return None
    if parts.scheme.partition("+")[0] == _DATABASE_FILE:
        return Path(os.path.abspath(unquote(parts.path[1:])))  # noqa: PTH100  it may be a link
    return naming.local_path(plain(uri))


def _namespace(uri: str) -> str:
    if (path := place(uri)) is not None:
        return f"mlflow://{path.as_posix()}"
    parts = urlsplit(plain(uri))
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme.startswith("databricks"):
        return f"mlflow://{parts.scheme}/{host}".rstrip("/")
    return f"mlflow://{host}{parts.path}".rstrip("/")


def time(milliseconds: int, *, live: bool) -> str:
    """A time of MLflow, RFC 3339.

    MLflow keeps milliseconds. What is told live is told at the end of one, so that an import of the same,
    which knows less, comes before it.
    """
    found = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=milliseconds)
    return (found + _LIVE if live else found).isoformat(timespec="microseconds").replace("+00:00", "Z")
