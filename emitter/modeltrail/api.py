"""The public verbs; `modeltrail.run` and the others are these."""

from collections.abc import Mapping
from typing import cast

from modeltrail import context, settings, transports
from modeltrail.guard import guarded
from modeltrail.runs import Run
from modeltrail.tracked import track

__all__ = ["configure", "current_run", "flush", "run", "track"]

configure = settings.configure


def run(
    name: str,
    *,
    namespace: str | None = None,
    job_type: str | None = None,
    parent: object = None,
    description: str | None = None,
    tags: Mapping[str, object] | None = None,
) -> Run:
    """A run of the job `name`: COMPLETE, FAIL or ABORT when the `with` ends.

    Args:
        name: of the job, the same each time it runs.
        namespace: of the job; without it the configured one (OPENLINEAGE_NAMESPACE).
        job_type: TRAIN, EVALUATE, DEPLOY, MONITOR, FEATURE or JOB; without it TRAIN if it makes a model.
        parent: the run that this one belongs to: a run, `namespace/job/run id`, or a mapping as in
            OPENLINEAGE_CONTEXT. Without it the current run, else what the environment says; see
            `modeltrail.context`.
        description: of the job.
        tags: of the run.

    ::

        with modeltrail.run("train-churn") as run:
            run.input("churn.csv", role="train")
    """
    made = Run(name, namespace=namespace, job_type=job_type, parent=parent)
    with guarded("describing a run"):
        if description is not None:
            made.facts.add_declared({"description": description})
        made.facts.add_tags(tags or {})
    return made


def current_run() -> Run | None:
    """The innermost open run of this context, else the run of a script under `modeltrail run`, else None."""
    return cast("Run | None", context.current())


def flush(timeout: float = transports.FLUSH_TIMEOUT_S) -> bool:
    """Make all events so far durable within `timeout` seconds; say whether they are."""
    return transports.flush(timeout)
