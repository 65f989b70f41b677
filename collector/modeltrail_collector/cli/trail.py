"""How runs, models and the path back look to a person."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from modeltrail_collector.answers.diagrams import CUT, FAN_OUT
from modeltrail_collector.answers.places import LED_TO, SAME_BYTES, led_to
from modeltrail_schemas.printable import all_printable
from modeltrail_schemas.words import counted

OF_SEVERAL: Final = "it made {} models: what is told is of this run, not of this model alone"

_SHORT: Final = 12


def print_tree(root: dict[str, Any]) -> None:
    """Print a trace: each thing, and below it the run that wrote it and what that run read."""
    _print_node(all_printable(root), "", "")


def _print_node(node: dict[str, Any], first: str, rest: str) -> None:
    click.echo(dim(first) + _thing(node))
    if (run := node["run"]) is not None:
        told = "  (its inputs stand above)" if node["repeated"] else ""
        click.echo(dim(rest + "└─ ") + _run_line(run) + dim(told))
        if node["kind"] == "model" and is_of_several(run):
            click.echo(dim(f"{rest}   {OF_SEVERAL.format(run['models'])}"))
    inputs = node["inputs"][:FAN_OUT]
    left = len(node["inputs"]) - len(inputs) + node["more"]
    cut = f"… and {left:,} more" if left else CUT.get(node["cut"], "")
    rest += "   " if run is not None else ""
    for number, child in enumerate(inputs, 1):
        last = number == len(inputs) and not cut
        _print_node(child, f"{rest}{'└─ ' if last else '├─ '}", f"{rest}{'   ' if last else '│  '}")
    if cut:
        click.echo(dim(f"{rest}└─ {cut}"))


def is_of_several(run: dict[str, Any]) -> bool:
    """Whether a run made several models and does not tell them apart."""
    return (run["models"] or 1) > 1 and not run["told_apart"]


def _thing(node: dict[str, Any]) -> str:
    name = bold(label(node["namespace"], node["name"]))
    version = node["version"]
    in_memory = node["namespace"] == "inmemory://"  # there a version is the digest of the content
    if node["kind"] == "model" and version:
        name = bold(f"{short_name(node['name'])}@{short(version)}")
    name += f" · {bold(node['column'])}" if node["column"] is not None else ""
    facts = [", ".join(node["how"])] if node["how"] else []
    facts += [node["name"]] if node["kind"] == "model" and short_name(node["name"]) != node["name"] else []
    facts += [_traffic(node["deployment"])] if node["deployment"] else []
    facts += ["read by the run, use not seen"] if node["possible"] else []
    facts += [node["use"]] if node["use"] and node["use"] != "other" else []
    facts += [counted(node["rows"], "row")] if node["rows"] is not None else []
    facts += links(node)
    facts += [f"{SAME_BYTES} {label(**node['copy_of'])}"] if node.get("copy_of") else []
    if node["fingerprint"]:
        facts += content(node if node["kind"] != "model" else node | {"version": None})
        facts += ["by name: that run recorded no digest of it"] if node["by_name"] else []
    elif version and node["kind"] != "model":
        facts += content(node)
    elif node["use"] and not (node["kind"] == "model" and version and in_memory):
        # its reader says what it was for, and saw no content
        facts.append("content not recorded" if node["run"] is None else "by name, content not recorded")
    facts += ["its run failed and may not have written it"] if node.get("unsure") else []
    if node["run"] is None and not in_memory:
        facts.append("runs wrote in it" if node["inputs"] else "no run in the log wrote it")
    return name + dim("  " + " · ".join(facts) if facts else "")


def links(thing: dict[str, Any]) -> list[str]:
    """Where the path of a file led to, in words."""
    return [f"{LED_TO} {label('file', name)}" for name in led_to(thing)]


def _traffic(deployment: dict[str, Any]) -> str:
    told = of_traffic(deployment["traffic_percent"])
    return (f"{told}, " if told else "") + f"since {time(deployment['effective_at'])}"


def of_traffic(percent: float | None) -> str:
    """`10 % of the traffic`; nothing where no share was told."""
    return "" if percent is None else f"{percent:g} % of the traffic"


def _run_line(run: dict[str, Any]) -> str:
    when = time(run["started_at"] or run["wrote_at"])
    took = duration(run["started_at"], run["ended_at"])
    facts = [when + (f" ({took})" if took else ""), f"run {short_run(run['run_id'])}"]
    facts += [", ".join(run["steps"])] if run.get("steps") else []
    by = "registered by " if run.get("only_registered") else ""
    return f"{by}{run['job_name']}  {state(run['state'])}{dim('  ' + ' · '.join(facts))}"


def model_row(row: dict[str, Any]) -> dict[str, object]:
    """A model version as a line of `modeltrail models`."""
    return {
        "model": row["registered_name"] or label(row["namespace"], row["name"]),
        "version": row["version"],
        "algorithm": _algorithm(row),
        "created": time(row["created_at"]),
        "run": short_run(row["run_id"]),
        "digest": short(row["digest"] or ""),
        "aliases": ", ".join(row["aliases"] or ()),
        "deleted": time(row["deleted_at"]),
    }


def _algorithm(row: dict[str, Any]) -> str:
    """The class without its package; where it is unknown and the library is not, that too."""
    called: str = (row["algorithm"] or "").rpartition(".")[2]
    return f"{called} ({row['framework']})" if called == "unknown" and row["framework"] else called


def run_row(row: dict[str, Any]) -> dict[str, object]:
    """A run as a line of `modeltrail runs`."""
    return {
        "job": row["job_name"],
        "state": "never ended" if row["over_since"] else row["state"],
        "started": began(row),
        "took": duration(row["started_at"], row["ended_at"]),
        "run": row["run_id"],
        "parent": short_run(row["parent_run_id"]) if row["parent_run_id"] else "",
        "error": (row["error"] or "").partition("\n")[0][:80],
    }


def label(namespace: str, name: str) -> str:
    """A name as short as it is clear from here: a file below the current directory by its path from there."""
    if namespace == "file":
        try:
            return str(Path(name).relative_to(Path.cwd()))
        except (ValueError, OSError):
            return name
    if namespace == "inmemory://":
        return f"{name} (in memory)"
    return name if namespace == "modeltrail://registry" else f"{name} ({namespace})"


def short_name(name: str) -> str:
    """The last part of a model's name."""
    return name.rpartition("/")[2] or name


def short(digest: str) -> str:
    """The first digits of a digest; anything else as it is."""
    return digest[:_SHORT] if len(digest) > 2 * _SHORT else digest


def content(data: dict[str, Any]) -> list[str]:
    """Which content data had, in words: its version, where that is not just the digest, and its digest."""
    version, digest = data["version"], data["fingerprint"]
    named = [f"version {short(version)}"] if version and version != digest else []
    return [*named, short(digest)] if digest else named


def short_run(run_id: str) -> str:
    """The end of a run id: the random part of a UUIDv7 (its beginning is the time)."""
    return run_id[-_SHORT:]


def time(text: str | None) -> str:
    """A time to the second, UTC."""
    return text[:19].replace("T", " ") if text else ""


def began(run: dict[str, Any]) -> str:
    """When a run began; of one that nobody heard start, before when."""
    return time(run["started_at"]) or f"before {time(run['last_event_at'])}"


def duration(start: str | None, end: str | None) -> str:
    """How long something took: `350 ms`, `12 s`, `5 min`, `2 h 05 min`; nothing if it ended before."""
    if not start or not end:
        return ""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    if seconds < 0:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def state(text: str) -> str:
    """A run's state, in colour where there is some: a failure must be seen."""
    colours = {"COMPLETE": "green", "FAIL": "red", "ABORT": "red"}
    return _style(text, fg=colours.get(text, "yellow"))


def ended(state: str | None) -> str:
    """How a run ended, where it did not end well."""
    return f"ended as {state}" if state in {"FAIL", "ABORT"} else ""


def bold(text: str) -> str:
    """Bold on a terminal."""
    return _style(text, bold=True)


def dim(text: str) -> str:
    """Dim on a terminal."""
    return _style(text, dim=True) if text.strip() else text


def coloured(text: str, colour: str) -> str:
    """In colour on a terminal."""
    return _style(text, fg=colour)


def _style(text: str, **how: Any) -> str:
    """Style text: click takes colours out where stdout is no terminal; NO_COLOR is ours to honour."""
    return text if "NO_COLOR" in os.environ or not text else click.style(text, **how)
