"""How what came of a dataset looks to a person: a tree of jobs and what they made, with counts."""

from collections.abc import Collection, Iterable
from typing import Any, Final

import click

from modeltrail_collector.cli.trail import bold, dim, label, of_traffic, short, short_name, time
from modeltrail_schemas.printable import all_printable, printable
from modeltrail_schemas.words import counted

_SHOWN: Final = 4

Job = tuple[str, str]
Name = tuple[str, str]


def print_spread(asked: str, rows: list[dict[str, Any]]) -> None:
    """Print the answer of `answers.impact`: runs of one job are one line, as are versions of one model."""
    _Spread(all_printable(rows)).print_from(printable(asked))


class _Spread:
    """The rows of the answer, by what a line of the tree stands for."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.runs = {row["run_id"]: row for row in rows if row["kind"] == "run"}
        self.readers: dict[Name, list[str]] = {}
        self.made: dict[str, list[dict[str, Any]]] = {}
        self.tests: set[tuple[Name, str]] = set()
        self.told: set[tuple[str, ...]] = set()
        for run in self.runs.values():
            for read in run["through"]:
                name = (read["namespace"], read["name"])
                self.readers.setdefault(name, []).append(run["run_id"])
                # What it made came of what else it read, and is told there.
                if read["use"] == "test" and any(other["use"] != "test" for other in run["through"]):
                    self.tests.add((name, run["run_id"]))
        for row in rows:
            if row["kind"] in {"dataset", "model"}:
                self.made.setdefault(row["run_id"], []).append(row)

    def print_from(self, asked: str) -> None:
        """The line of counts, and the tree below it."""
        kinds = ("run", "dataset", "model", "endpoint")
        counts = {kind: sum(row["kind"] == kind for row in self.rows) for kind in kinds}
        counts["endpoint"] = len({row["endpoint"] for row in self.rows if row["kind"] == "endpoint"})
        datasets = [row for row in self.rows if row["kind"] == "dataset"]  # one for each run that wrote it
        counts["dataset"] = len({(row["namespace"], row["name"]) for row in datasets})
        words = {"model": "model version"}
        said = ", ".join(counted(number, words.get(kind, kind)) for kind, number in counts.items() if number)
        click.echo(f"{bold(asked)}  {said or 'nothing in the log learned from it'}")
        self._print_jobs([run for run, row in self.runs.items() if row["depth"] == 1], "")

    def _print_jobs(self, runs: Iterable[str], before: str, of: Name | None = None) -> None:
        jobs: dict[Job, list[str]] = {}
        for run in dict.fromkeys(runs):
            jobs.setdefault(self._job(run), []).append(run)
        for number, (job, ids) in enumerate(jobs.items(), 1):
            last = number == len(jobs)
            since = min((self.runs[run]["since"] or "" for run in ids), default="")
            above, tested = job in self.told, of is not None and self.tests >= {(of, run) for run in ids}
            how = "  (told above)" if above else "  for a test" if tested else ""
            told = dim(f"{counted(len(ids), 'run')} since {time(since)}{how}")
            click.echo(f"{dim(before + ('└─ ' if last else '├─ '))}{job[1]}  {told}")
            if not (above or tested):
                self.told.add(job)
                self._print_made(ids, before + ("   " if last else "│  "), jobs.keys())

    def _job(self, run: str) -> Job:
        return self.runs[run]["job_namespace"], self.runs[run]["job_name"]

    def _print_made(self, runs: list[str], before: str, beside: Collection[Job]) -> None:
        """What runs made; what reads the data that they wrote over stands `beside` them, in other lines."""
        read = {(one["namespace"], one["name"]) for run in runs for one in self.runs[run]["through"]}
        names: dict[Name, list[dict[str, Any]]] = {}
        for row in self.rows:  # of producers that do not say which model they deploy
            if row["kind"] == "endpoint" and not row["model_name"] and row["run_id"] in runs:
                click.echo(f"{dim(before + '→ ')}{row['endpoint']}  {_when(row)}")
        for run in runs:
            for row in self.made.get(run, ()):
                names.setdefault((row["namespace"], row["name"]), []).append(row)
        for number, (name, rows) in enumerate(names.items(), 1):
            last = number == len(names)
            # A model that a run read, and put out, is the base of another one that it made.
            over = dim("  written over") if name in read and rows[0]["kind"] != "model" else ""
            click.echo(dim(before + ("└─ " if last else "├─ ")) + _thing(name, rows) + over)
            below = before + ("   " if last else "│  ")
            for row in self._endpoints(rows):
                where = f"{row['endpoint']} ({row['environment'] or row['platform']})"
                click.echo(dim(f"{below}→ ") + f"{where}  version {row['version']} {_when(row)}")
            further = self.readers.get(name, ())
            self._print_jobs(
                [run for run in further if not over or self._job(run) not in beside], below, name
            )

    def _endpoints(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = {
            (name, row["version"])
            for row in rows
            if row["kind"] == "model"
            for name in (row["name"], row["registered_name"])
        }
        return [
            row
            for row in self.rows
            if row["kind"] == "endpoint" and (row["model_name"], row["version"]) in known
        ]


def _when(endpoint: dict[str, Any]) -> str:
    """From when to when a version is at an endpoint, and with which share it came."""
    since, until = endpoint["since"], endpoint["until"]
    if until is not None and until == since:
        return f"{endpoint['action'] or 'deployment'} at {time(since)}, not in force"
    told = of_traffic(endpoint["traffic_percent"])
    came = f"since {time(since)}" + (f" ({told} then)" if told else "")
    return came + (f" until {time(until)}" if until is not None else "")


def _thing(name: Name, rows: list[dict[str, Any]]) -> str:
    columns = sorted({column for row in rows for column in row["columns"] or ()})
    of = dim(f"  columns {', '.join(columns)}") if columns else ""
    of += dim("  possible") if all(row["possible"] for row in rows) else ""
    if rows[0]["kind"] != "model":
        return f"{label(*name)}{of}"
    versions = [short(row["version"] or "") for row in rows]
    shown = ", ".join(versions[:_SHOWN]) + (", …" if len(versions) > _SHOWN else "")
    called = rows[0]["registered_name"] or short_name(name[1])
    return f"{bold(called)}  {counted(len(versions), 'version')}: {shown}{of}"
