"""What Dagster says: the run whose asset or op runs in this process, and the code of that.

Dagster is never imported here: where it runs us, it is there. Its run is a parent only where
dagster-openlineage is too, which tells of Dagster's runs by their own ids.
"""

import os
import sys
from pathlib import Path
from typing import Any, Final

_TELLER: Final = "dagster_openlineage"


def run() -> tuple[str, str, str] | None:
    """Run id, job namespace and job name of the Dagster run as it is told of; None where none runs.

    The job is that of the asset, or, where a step makes none or several, Dagster's job.
    """
    context = _context()
    if context is None or _TELLER not in sys.modules:
        return None
    assets = context.selected_asset_keys if context.has_assets_def else ()
    name = next(iter(assets)).to_user_string() if len(assets) == 1 else context.job_name
    return context.run_id, _namespace(context.instance), name


def code_file() -> Path | None:
    """The file of the function that is the asset or op that runs here."""
    function = getattr(getattr(_context(), "op_def", None), "compute_fn", None)
    code = getattr(getattr(function, "decorated_fn", None), "__code__", None)
    return Path(code.co_filename) if code else None


def _context() -> Any:
    """Dagster's context of the step that runs here; None where none does."""
    dagster: Any = sys.modules.get("dagster")
    if not hasattr(dagster, "OpExecutionContext"):  # not there, or not imported to its end
        return None
    try:
        return dagster.OpExecutionContext.get()
    except dagster.DagsterInvariantViolationError:  # no asset and no op
        return None


def _namespace(instance: Any) -> str:
    """The namespace of Dagster's jobs: the event log storage's own, else as its sensor has it (0.2)."""
    adapter = getattr(instance.event_log_storage, "_adapter", None)
    if adapter is not None:
        found: str = adapter._resolve_namespace({})  # noqa: SLF001  it has no public way
        return found
    return os.environ.get("OPENLINEAGE_NAMESPACE", "default")
