"""`modeltrail demo`: three versions of one model, and where each came from, in under a minute.

The steps are ordinary scripts (`modeltrail_collector/demo/*.py`), run the way a user runs them;
everything printed after a `$` is the output of that command.
"""

import importlib.resources
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click

from modeltrail_collector.errors import CollectorError, ConfigError

MARKER = ".modeltrail-demo"
TOPIC = "modeltrail.demo"
SCRIPTS = ("prepare.py", "train.py", "deploy.py", "story.py")


@click.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default="modeltrail-demo",
    show_default=True,
    help="Where everything is written; an earlier demo there is replaced.",
)
@click.option(
    "--bootstrap-servers",
    metavar="HOST:PORT,…",
    help=f"Send the events through this Kafka cluster (topic {TOPIC}) instead of local files.",
)
def demo(directory: Path, bootstrap_servers: str | None) -> None:
    """Train three model versions and look at their trail.

    Trains scikit-learn models on the tumour measurements that ship with scikit-learn, evaluates each on
    the same hold-out, registers all, deploys version 2, then collects, compacts and asks.

    \b
    modeltrail demo
    modeltrail demo --bootstrap-servers localhost:9092
    """
    started = time.monotonic()
    _lay_out(directory)
    environment = _environment(directory, bootstrap_servers)
    click.echo(
        f"Three versions of one model, recorded as OpenLineage events. Everything is in {directory}/\n"
    )
    if bootstrap_servers:
        _run(
            directory,
            environment,
            "topic",
            "create",
            "--topic",
            TOPIC,
            "--bootstrap-servers",
            bootstrap_servers,
        )
    _call(directory, environment, (sys.executable, "story.py"), shown=True)
    click.echo()
    if bootstrap_servers:
        _run(
            directory,
            environment,
            *("collect", "--bootstrap-servers", bootstrap_servers, "--topic", TOPIC, "--until-end"),
        )
    _run(directory, environment, "compact")
    _run(directory, environment, "trace", "tumours@3")
    _run(directory, environment, "show", "tumours@3", "--section", "changes")
    _farewell(directory, time.monotonic() - started)


def _lay_out(directory: Path) -> None:
    """Make the demo's folder with the raw data and the scripts; never touch a folder that is not a demo's."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARKER).exists():
            raise ConfigError(
                f"{directory} exists and is not an earlier demo: "
                "name another folder with --directory, or remove it"
            )
        shutil.rmtree(directory)
    for folder in ("raw", "data", "models"):
        (directory / folder).mkdir(parents=True)
    (directory / MARKER).write_text("made by `modeltrail demo`; replaced by the next one\n", encoding="utf-8")
    scripts = importlib.resources.files("modeltrail_collector") / "demo"
    for script in SCRIPTS:
        (directory / script).write_text((scripts / script).read_text(encoding="utf-8"), encoding="utf-8")
    _write_raw_table(directory / "raw" / "tumours.csv")


def _write_raw_table(path: Path) -> None:
    """The table as scikit-learn ships it, with column names: 569 rows, 30 measurements and the label."""
    import csv

    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*table.feature_names, "target"])
        writer.writerows([*row, label] for row, label in zip(table.data.tolist(), table.target, strict=True))


def _environment(directory: Path, bootstrap_servers: str | None) -> dict[str, str]:
    """The caller's environment with the demo's own log and transport, whatever the caller has configured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE_")}
    environment = {
        **kept,
        "OPENLINEAGE_NAMESPACE": "demo",
        "MODELTRAIL_LOG": str((directory / "lineage").resolve()),
    }
    if bootstrap_servers:
        config = directory / "openlineage.yml"
        config.write_text(
            "transport:\n"
            "  type: modeltrail.KafkaTransport\n"
            f"  topic: {TOPIC}\n"
            "  on_failure: raise\n"
            f"  config: {{bootstrap.servers: '{bootstrap_servers}'}}\n",
            encoding="utf-8",
        )
        environment["OPENLINEAGE_CONFIG"] = str(config.resolve())
    return environment


def _run(directory: Path, environment: dict[str, str], *arguments: str) -> None:
    """Show a command and what it prints."""
    click.secho(f"$ {shlex.join(('modeltrail', *arguments))}", bold=True)
    code = "from modeltrail.cli import main; main()"
    click.echo(_call(directory, environment, (sys.executable, "-c", code, *arguments)))


def _call(
    directory: Path, environment: dict[str, str], command: tuple[str, ...], *, shown: bool = False
) -> str:
    """Run a command in the demo's folder; its output, unless it is shown as it comes."""
    result = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdout=None if shown else subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise CollectorError(
            f"the demo's step {shlex.join(command[1:])} ended with exit code {result.returncode}:\n"
            f"{result.stderr}"
        )
    return result.stdout or ""


def _farewell(directory: Path, seconds: float) -> None:
    click.echo(f"That took {seconds:.0f} s. Try next:\n")
    scripts = Path(sys.executable).parent
    if shutil.which("modeltrail") is None and (scripts / "activate").exists():
        click.echo(f"  source {os.path.relpath(scripts / 'activate')}")
    click.echo(f"  cd {directory}")
    for command, meaning in (
        ("modeltrail models", "every model version"),
        ("modeltrail show tumours@3", "what exactly produced version 3"),
        ("modeltrail show tumours@2", "the version that is deployed"),
        ("modeltrail runs", "every run in the log"),
        ("modeltrail verify", "prove that nobody changed the log"),
        ("modeltrail sql 'select * from metrics'", "ask anything"),
    ):
        click.echo(f"  {command:<42}# {meaning}")
