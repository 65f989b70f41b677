"""How what came of a dataset looks to a person: a tree of jobs and what they made, with counts."""

from collections.abc import Iterable
from typing import Any, Final

import click

from modeltrail_collector.cli.trail import bold, dim, label, of_traffic, short, short_name, time
from modeltrail_schemas.printable import all_printable, printable
from modeltrail_schemas.words import counted

_SHOWN: Final = 4

Job = tuple[str, str]
Name = tuple[str, str]
Written = tuple[str, str, str | None]
"""A name, and the run that wrote it."""


def print_spread(asked: str, rows: list[dict[str, Any]]) -> None:
    """Print the answer of `answers.impact`: runs of one job are one line, as are versions of one model."""
    _Spread(all_printable(rows)).print_from(printable(asked))


class _Spread:
    """The rows of the answer, by what a line of the tree stands for."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.runs = {row["run_id"]: row for row in rows if row["kind"] == "run"}
        self.readers: dict[Written, list[str]] = {}
        self.made: dict[str, list[dict[str, Any]]] = {}
        self.at: dict[tuple[str | None, str | None], list[dict[str, Any]]] = {}
        self.tests: set[tuple[Name, str]] = set()
        self.told: set[str] = set()
        self.later: dict[Name, list[str]] = {}
        for run in self.runs.values():
            for read in run["through"]:
                name = (read["namespace"], read["name"])
                self.readers.setdefault((*name, read["written_by"]), []).append(run["run_id"])
                # What it made came of what else it read, and is told there.
                if read["use"] == "test" and any(other["use"] != "test" for other in run["through"]):
                    self.tests.add((name, run["run_id"]))
        for row in rows:
            if row["kind"] in {"dataset", "model"}:
                self.made.setdefault(row["run_id"], []).append(row)
            elif row["kind"] == "endpoint":
                self.at.setdefault((row["model_name"], row["version"]), []).append(row)

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
        while self.later:
            for name, runs in [*self.later.items()]:
                del self.later[name]
                if not self.told.issuperset(runs):
                    click.echo(label(*name))
                    self._print_jobs(runs, "", name)

    def _print_jobs(
        self, runs: Iterable[str], before: str, of: Name | None = None, path: tuple[Job, ...] = ()
    ) -> None:
        """The jobs of these runs, that read `of`, and what they made; `path` are those above."""
        jobs: dict[Job, list[str]] = {}
        for run in dict.fromkeys(runs):
            jobs.setdefault(self._job(run), []).append(run)
        for number, (job, ids) in enumerate(jobs.items(), 1):
            last = number == len(jobs)
            tested = of is not None and self.tests >= {(of, run) for run in ids}
            new = [run for run in ids if run not in self.told]
            if is_later := of is not None and job in path and bool(new) and not tested:
                self.later.setdefault(of, []).extend(new)
            opened = [] if tested or is_later else self._with_own(job, new)
            told = [*ids, *opened[len(new) :]]
            how = "for a test" if tested else "(told below)" if is_later else _above(len(told), len(opened))
            since = min((self.runs[run]["since"] or "" for run in told), default="")
            said = dim("  ".join(filter(None, (f"{counted(len(told), 'run')} since {time(since)}", how))))
            click.echo(f"{dim(before + ('└─ ' if last else '├─ '))}{job[1]}  {said}")
            self.told.update(opened)
            self._print_made(opened, before + ("   " if last else "│  "), (*path, job))

    def _job(self, run: str) -> Job:
        return self.runs[run]["job_namespace"], self.runs[run]["job_name"]

    def _with_own(self, job: Job, runs: list[str]) -> list[str]:
        """These runs, and behind them those of the same job that read data that these made, and so on."""
        found = dict.fromkeys(runs)
        waiting = [*runs]
        while waiting:
            made = self.made.get(run := waiting.pop(), ())
            for row in (one for one in made if one["kind"] == "dataset"):
                for reader in self.readers.get((row["namespace"], row["name"], run), ()):
                    if reader not in found and reader not in self.told and self._job(reader) == job:
                        found[reader] = None
                        waiting.append(reader)
        return [*found]

    def _print_made(self, runs: list[str], before: str, path: tuple[Job, ...]) -> None:
        """What runs of a job, the last of the path, made, and what reads that."""
        among = {*runs}
        for row in self.at.get((None, None), ()):  # of producers that do not say which model they deploy
            if row["run_id"] in among:
                click.echo(f"{dim(before + '→ ')}{row['endpoint']}  {_when(row)}")
        names: dict[Name, list[dict[str, Any]]] = {}
        for run in runs:
            for row in self.made.get(run, ()):
                names.setdefault((row["namespace"], row["name"]), []).append(row)
        for number, (name, rows) in enumerate(names.items(), 1):
            last = number == len(names)
            over = dim("  written over") if any(map(self._is_over, rows)) else ""
            click.echo(dim(before + ("└─ " if last else "├─ ")) + _thing(name, rows) + over)
            below = before + ("   " if last else "│  ")
            for row in self._endpoints(rows):
                where = f"{row['endpoint']} ({row['environment'] or row['platform']})"
                click.echo(dim(f"{below}→ ") + f"{where}  version {row['version']} {_when(row)}")
            readers = [run for row in rows for run in self.readers.get((*name, row["run_id"]), ())]
            self._print_jobs([run for run in readers if run not in among], below, name, path)

    def _is_over(self, made: dict[str, Any]) -> bool:
        """Whether a run wrote data in place of what it read, and not only read again what it wrote.

        A model that a run read, and put out, is the base of another one that it made.
        """
        name = (made["namespace"], made["name"])
        return made["kind"] != "model" and any(
            (read["namespace"], read["name"]) == name and read["written_by"] != made["run_id"]
            for read in self.runs[made["run_id"]]["through"]
        )

    def _endpoints(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = {
            (name, row["version"]): None
            for row in rows
            if row["kind"] == "model"
            for name in (row["name"], row["registered_name"])
            if name
        }
        return [row for key in known for row in self.at.get(key, ())]


def _above(number: int, opened: int) -> str:
    """How many of so many runs stand above with what they made."""
    if opened == number:
        return ""
    return f"({number - opened} of them told above)" if opened else "(told above)"


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
