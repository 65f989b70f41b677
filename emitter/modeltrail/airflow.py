"""What Airflow says: the task that runs in this process, and where Airflow's own events go.

Airflow is never imported here, which takes seconds: where it runs us, it is there.
"""

import json
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from modeltrail.errors import ConfigError

ENV_PREFIX: Final = "AIRFLOW__OPENLINEAGE__"
OPTION: Final = "[openlineage] of Airflow"
_PROVIDER: Final = "airflow.providers.openlineage"


def context() -> Mapping[str, Any]:
    """The context of the task that runs, by Airflow 3, else by Airflow 2; empty where none runs."""
    if "airflow" not in sys.modules or not _runs_us():
        return {}
    for module in ("airflow.sdk", "airflow.operators.python"):
        try:
            found: Mapping[str, Any] = import_module(module).get_current_context()
        except (ImportError, AttributeError):
            continue
        except Exception:  # Airflow's own "no context here", whose class moved between versions
            return {}
        return found
    return {}


def dag_file() -> Path | None:
    """The file of the DAG whose task runs here."""
    file = getattr(context().get("dag"), "fileloc", None)
    return Path(file) if file else None


def can_be_asked() -> bool:
    """Whether Airflow's provider is loaded in this process."""
    return f"{_PROVIDER}.plugins.adapter" in sys.modules


def transport(environment: Mapping[str, str]) -> tuple[Any, str] | None:
    """The transport of Airflow's own events, and where it stands, unless in a file; None: it says nothing.

    In Airflow's processes its provider is asked, which also knows connections and airflow.cfg; in others, as
    in a program that a task starts, the environment.

    Raises:
        ConfigError: A variable that cannot be read.
    """
    if can_be_asked():
        adapter = sys.modules[f"{_PROVIDER}.plugins.adapter"].OpenLineageAdapter()
        found = (adapter.get_openlineage_config() or {}).get("transport")
        return (found, OPTION) if found else None
    if text := environment.get(f"{ENV_PREFIX}TRANSPORT"):
        try:
            return json.loads(text), f"{ENV_PREFIX}TRANSPORT"
        except ValueError as error:
            raise ConfigError(f"{ENV_PREFIX}TRANSPORT is no JSON: {error}") from error
    return None


def config_file(environment: Mapping[str, str]) -> Path | None:
    """The configuration file of Airflow's own events, which goes before a transport of theirs."""
    path = environment.get(f"{ENV_PREFIX}CONFIG_PATH")
    return Path(path) if path and not can_be_asked() else None


def namespace(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """The namespace of Airflow's jobs, and where it stands; None where it says nothing."""
    if text := environment.get(f"{ENV_PREFIX}NAMESPACE"):
        return text, f"{ENV_PREFIX}NAMESPACE"
    if can_be_asked() and (found := import_module(f"{_PROVIDER}.conf").namespace()) != "default":
        return found, OPTION
    return None


def _runs_us() -> bool:
    return "AIRFLOW_CTX_DAG_ID" in os.environ or "airflow.sdk" in sys.modules
