"""`modeltrail import`: what other systems have kept, as events."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec

import click

from modeltrail import settings, transports
from modeltrail.errors import ConfigError, DeliveryError, MissingExtra
from modeltrail.observe import redact


@click.group("import")
def importing() -> None:
    """Tell what other systems have kept, with its original times.

    \b
    modeltrail import mlflow --tracking-uri http://mlflow.example:5000
    """


@importing.command()
@click.option(
    "--tracking-uri",
    metavar="URI",
    envvar="MLFLOW_TRACKING_URI",
    help="The MLflow server or store.  [default: MLFLOW_TRACKING_URI, else what MLflow would take]",
)
@click.option("--experiment", "experiments", metavar="NAME", multiple=True, help="Only this one; repeatable.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Only what began at that time (UTC) or later.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def mlflow(
    *, tracking_uri: str | None, experiments: Sequence[str], since: datetime | None, as_json: bool
) -> None:
    """Tell of the runs, datasets and models that an MLflow server has.

    Events go where they are configured to go, and are marked as declared. Run ids are MLflow's own, so that
    to import twice, or what the bridge has told already, changes no answer.

    Exit code 4: MLflow cannot be reached, or an event could not be delivered.

    \b
    modeltrail import mlflow --experiment churn --since 2026-01-01
    """
    if find_spec("mlflow") is None:
        raise MissingExtra("MLflow is not installed: pip install mlflow")
    if settings.current().disabled:
        raise ConfigError("nothing is imported while modeltrail is disabled (OPENLINEAGE_DISABLED)")
    with _upstream():
        from mlflow.tracking import get_tracking_uri

        from modeltrail.mlflow.backfill import Backfill

        told = Backfill(tracking_uri or get_tracking_uri(), experiments, since and since.replace(tzinfo=UTC))
        found = told.found()
        hidden = not sys.stderr.isatty()
        with click.progressbar(length=len(found), label="runs", file=sys.stderr, hidden=hidden) as bar:
            for _ in told.tell_runs(found):
                bar.update(1)
        told.tell_versions(found)
    if not transports.flush():
        raise DeliveryError(
            "the events are written down, and not all delivered: see `modeltrail spool status`"
        )
    counts = {"runs": told.runs, "versions": told.versions, "events": told.events}
    if as_json:
        click.echo(json.dumps({"tracking_uri": redact.text(told.uri), **counts}))
    else:
        click.echo("Imported runs: {runs}, model versions: {versions}, events: {events}.".format(**counts))


@contextlib.contextmanager
def _upstream() -> Iterator[None]:
    """MLflow tries a server that is away for minutes unless told otherwise; its errors are no bugs here."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise DeliveryError(f"MLflow says: {redact.text(str(error))}") from error
