"""How `modeltrail show` looks to a person: section by section, each fact with how it was learned."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import click

from modeltrail_collector.answers.recipe import elsewhere, repository, unlisted
from modeltrail_collector.answers.show import OF_RUN, is_of_another
from modeltrail_collector.answers.why.cause import named
from modeltrail_collector.answers.why.shares import choices
from modeltrail_collector.cli.trail import (
    OF_SEVERAL,
    began,
    bold,
    content,
    dim,
    duration,
    ended,
    is_of_several,
    label,
    links,
    of_traffic,
    short,
    short_run,
    time,
)
from modeltrail_collector.cli.values import brief, figure, one_line, sides, span
from modeltrail_collector.tables.differences import full_name
from modeltrail_schemas.printable import all_printable
from modeltrail_schemas.words import counted

_GAP: Final = "  "
_OTHERS: Final = 5
UNVERSIONED: Final = "the script is under no version control"

Line = Sequence[str]


def print_story(answer: dict[str, Any], sections: Sequence[str]) -> None:
    """Print these sections of the answer of `answers.show`; what nobody said is `not recorded`."""
    for number, name in enumerate(sections):
        if number:
            click.echo()
        value = all_printable(answer[name])
        heading, told = _HEADINGS.get(name, name), lines(name, value)
        if name == "model":
            click.echo(title(value))
            heading = ""
        elif name == "changes" and value:
            heading = f"changes since {short(value[0]['base_version'])}"
        if heading:
            absent = _ABSENT.get(name, "not recorded")
            click.echo(bold(heading) if told else f"{bold(heading)}{_GAP}{dim(absent)}")
        print_lines(told)


def lines(section: str, value: Any) -> list[Line]:
    """The lines of one section."""
    return [] if value is None else _SECTIONS[section](value)


def title(model: dict[str, Any]) -> str:
    """`churn@3`."""
    name = model["registered_name"] or label(model["namespace"], model["name"])
    return bold(f"{name}@{model['version']}")


def print_lines(lines: Iterable[Line]) -> None:
    """Columns under each other; the last is dim: how it was learned, and where it was said."""
    table = [list(line) for line in lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)] if table else []
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        text = _GAP.join(cells[:-1])
        learned = line[-1]
        click.echo(_GAP + (text + _GAP + dim(learned) if learned else text.rstrip()))


def learned(fact: dict[str, Any]) -> str:
    """How a fact was learned, and the log record in which it was said."""
    source = fact.get("source")
    where = f"{source['topic']}/{source['partition']}@{source['offset']}" if source else ""
    return " ".join(part for part in (fact.get("capture") or "", where) if part)


def _model(model: dict[str, Any]) -> list[Line]:
    framework = " ".join(part for part in (model["framework"], model["framework_version"]) if part)
    said = {
        "identity": f"{model['name']} in {model['namespace']}",
        "digest": f"{model['digest_algorithm'] or 'digest'} {model['digest']}" if model["digest"] else "",
        "algorithm": model["algorithm"] or "",
        "holds": ", ".join(model["holds"]),
        "framework": framework,
        "task": model["task"] or "",
        "created": time(model["created_at"]),
        "saved": f"after step {model['step']:,}" if model["step"] is not None else "",
        "aliases": ", ".join(model["aliases"] or ()),
        "deleted": time(model["deleted_at"]),
    }
    return [(name, value, "") for name, value in said.items() if value]


def _run(run: dict[str, Any]) -> list[Line]:
    took = duration(run["started_at"], run["ended_at"])
    parent = f"below {run['parent_job_name']}" if run["parent_job_name"] else ""
    when = began(run) + (f" ({took})" if took else "")
    by = "registered by " if run.get("only_registered") else ""
    return [
        *([("not recorded", "", "", "", "")] if by else []),
        (f"{by}{run['job_name']}", run["state"], when, f"run {run['run_id']}", parent),
        *((name, value, "", "", mark) for name, value, mark in _training(_object(run.get("training")))),
        *([(OF_SEVERAL.format(run["models"]), "", "", "", "")] if is_of_several(run) else []),
        *_others(run.get("others", ())),
    ]


def _others(runs: Sequence[dict[str, Any]]) -> list[Line]:
    shown = [
        ("same bytes from", run["job_name"], began(run), f"run {run['run_id']}", "") for run in runs[:_OTHERS]
    ]
    more = [("", f"and {len(runs) - _OTHERS:,} more", "", "", "")] if len(runs) > _OTHERS else []
    return [*shown, *more]


def _training(training: dict[str, Any]) -> list[Line]:
    seeds, base = _object(training.get("seeds")), _object(training.get("baseModel"))
    known = [f"{name} {seed}" for name, seed in seeds.items() if seed is not None]
    said = {
        "seeds": ", ".join(known),
        "deterministic": {"True": "yes", "False": "no"}.get(str(training.get("deterministic"))),
        "epochs": training.get("epochs"),
        "steps": training.get("steps"),
        "processes": _object(training.get("distributed")).get("worldSize"),
        "based on": "@".join(str(base[key]) for key in ("name", "version") if base.get(key)),
    }
    return _pairs(said, learned(training))


def _data(rows: list[dict[str, Any]]) -> list[Line]:
    return [
        (
            label(row["namespace"], row["name"]),
            row["use"] or "",
            counted(row["rows"], "row") if row["rows"] is not None else "",
            ", ".join([*_count(row["columns"], "columns"), *_labels(row["labels"]), *links(row)]),
            _split(_object(row["split"])),
            " · ".join(content(row)),
            learned(row),
        )
        for row in rows
    ]


def _count(several: Sequence[object], what: str) -> list[str]:
    return [f"{len(several)} {what}"] if several else []


def _labels(names: Sequence[str]) -> list[str]:
    return [f"label{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []


def _split(split: dict[str, Any]) -> str:
    """`random 75 %, seed 7`; of a split of a split `random 80 %, seed 1; of these random 75 %, seed 7`."""
    return "; of these ".join(filter(None, map(_choice, choices(split))))


def _choice(split: dict[str, Any]) -> str:
    share = split.get("fraction")
    said = [str(split["strategy"])] if split.get("strategy") else []
    said += [f"{100 * share:.4g} %"] if isinstance(share, int | float) else []
    seed = [f"seed {split['seed']}"] if split.get("seed") is not None else []
    return ", ".join([" ".join(said), *seed] if said else seed)


def _transformations(rows: list[dict[str, Any]]) -> list[Line]:
    return [
        (
            str(row.get("id", "")),
            str(row.get("op", "")).rpartition(".")[2],
            brief(row.get("params")),
            f"fitted on {row['fittedOn']}" if row.get("fittedOn") else "",
            learned(row),
        )
        for row in rows
    ]


def _params(rows: list[dict[str, Any]]) -> list[Line]:
    """What somebody chose first, then what was left as it is."""
    return [
        (full_name(row["name"], row["component"]), "null" if row["value"] is None else row["value"],
         row["origin"] or "", learned(row))
        for row in sorted(rows, key=lambda row: row["origin"] == "default")
    ]  # fmt: skip


def _code(code: dict[str, Any]) -> list[Line]:
    location = _object(code.get("location"))
    said = {
        "entry point": code.get("entryPoint"),
        "arguments": " ".join(map(str, _list(code.get("argv")))),
        "repository": repository(location.get("repoUrl"), location.get("url"), code.get("root")),
        "commit": code.get("commit") or location.get("version"),
        "uncommitted": _uncommitted(code),
        "untracked": _untracked(code),
        "elsewhere": named([file.name for file in elsewhere(code) or ()]) or None,
        "diff": code.get("diffSha256"),
        "source": code.get("sourceSha256"),
        "query": one_line(_object(code.get("query")).get("query")),
    }
    return _pairs(said, learned(code))


def _untracked(code: dict[str, Any]) -> str | None:
    files = code.get("untracked")
    if not isinstance(files, list):
        return None
    left_out = unlisted(files, code.get("untrackedTruncated"), code.get("untrackedCount"))
    listed = counted(len(files), "file")
    return f"{listed}; {left_out}" if left_out else listed if files else "none"


def _uncommitted(code: dict[str, Any]) -> str | None:
    if not code.get("vcs") and not code.get("commit"):
        return UNVERSIONED
    return {"True": "yes", "False": "no"}.get(str(code.get("dirty")), "not recorded")


def _environment(environment: dict[str, Any]) -> list[Line]:
    python, system, hardware, container, lockfile = (
        _object(environment.get(key)) for key in ("python", "os", "hardware", "container", "lockfile")
    )
    devices = [_object(device) for device in _list(hardware.get("accelerators"))]
    cpus = [f"{hardware['cpuCount']} CPUs"] if hardware.get("cpuCount") else []
    said = {
        "python": _words(python, "version", "implementation"),
        "engine": _words(environment, "name", "version"),
        "system": _words(system, "name", "version", "arch"),
        "packages": len(_list(environment.get("packages"))),
        "lockfile": _words(lockfile, "kind", "sha256"),
        "container": _words(container, "image", "digest"),
        "hardware": ", ".join(
            cpus + [f"{device.get('count', 1)} x {device.get('model')}" for device in devices]
        ),
    }
    return _pairs(said, learned(environment))


def _metrics(rows: list[dict[str, Any]]) -> list[Line]:
    """One by one; those of other models that the run fitted, for folds say, as a span."""
    told = [row | {"of": OF_RUN.format(row["models"]) if row["models"] else None} for row in rows]
    others: dict[tuple[str, str | None, bool], list[dict[str, Any]]] = {}
    for row in told:
        if is_of_another(row):
            others.setdefault((row["name"], row["split"], row["is_part"]), []).append(row)
    return [
        *((row["name"], figure(row["value"]), _words(row, "split", "dataset", "slice", "of"),
           f"step {row['step']}" if row["step"] is not None else "", learned(row))
          for row in told if not is_of_another(row)),
        *((name, span([row["value"] for row in several]),
           ", ".join(filter(None, (split, _of_others(several)))),
           "", learned(several[0]))
          for (name, split, _), several in others.items()),
    ]  # fmt: skip


def _of_others(several: list[dict[str, Any]]) -> str:
    ids = {row["model_id"] for row in several}
    if several[0]["is_part"]:
        return f"of {len(ids)} parts of it" if len(ids) > 1 else f"of its part {min(ids)}"
    if several[0]["own"] is None:
        return f"of {f'{len(ids)} models' if len(ids) > 1 else 'a model'} that the run fitted"
    return f"of {len(ids)} other models of the run" if len(ids) > 1 else f"of another model, {min(ids)}"


def _evaluations(rows: list[dict[str, Any]]) -> list[Line]:
    return [
        (row["name"], figure(row["value"]), f"on {label('file', row['dataset'])}" if row["dataset"] else "",
         "" if row["use"] in {None, "test"} else row["use"],
         counted(row["rows"], "row") if row["rows"] is not None else "", row["slice"] or "",
         f"run {short_run(row['run_id'])} {ended(row['state'])}".rstrip(), learned(row))
        for row in rows
    ]  # fmt: skip


def _artifact(artifact: dict[str, Any]) -> list[Line]:
    size = artifact.get("sizeBytes")
    files = _list(artifact.get("files"))
    said = {
        "file": _place(artifact),
        str(artifact.get("digestAlgorithm") or "digest"): artifact.get("digest"),
        "size": counted(size, "byte") if isinstance(size, int) else None,
        "files": str(len(files)) if len(files) > 1 else None,
    }
    return _pairs(said, learned(artifact))


def _place(artifact: dict[str, Any]) -> str:
    """Where the bytes lie: a model that has a name is called by it, its artifact by its file."""
    uri = urlsplit(str(artifact.get("uri") or ""))
    if uri.scheme == "file":
        return label("file", unquote(uri.path))
    return uri.geturl() or label(artifact["namespace"], artifact["name"])


def _registration(registration: dict[str, Any]) -> list[Line]:
    said = {
        "registry": _words(_object(registration.get("registry")), "system", "uri"),
        "name": registration.get("name"),
        "version": registration.get("version"),
        "aliases": ", ".join(map(str, _list(registration["aliases"]))),
        "stage": registration.get("stage"),
        "by": registration.get("actor"),
        "registered again": ", ".join(f"with other bytes: {one}" for one in registration["other_bytes"]),
    }
    since = registration["history"] if len(registration["history"]) > 1 else []
    return [*_pairs(said, learned(registration)), *map(_in_registry, since)]


def _in_registry(one: dict[str, Any]) -> Line:
    """What was done to a version in its registry, when and by whom."""
    before = _object(one["previous"])
    held = ", ".join(map(str, _list(before.get("aliases"))))
    told = {
        "aliases": ", ".join(map(str, _list(one["aliases"]))),
        "stage": one["stage"],
        "before: version": before.get("version") and f"{before['version']}{f' ({held})' if held else ''}",
        "approved by": _object(one["approval"]).get("by"),
    }
    by = f" by {one['actor']}" if one["actor"] else ""
    words = [f"{time(str(one['at']))}{by}", *(f"{name} {value}" for name, value in told.items() if value)]
    action = str(one["action"] or "told")
    return {"delete": "deleted", "register": "registered"}.get(action, action), ", ".join(words), learned(one)


def _deployments(rows: list[dict[str, Any]]) -> list[Line]:
    return [
        (row["uri"] or row["endpoint"] or "", row["environment"] or "", row["action"] or "",
         of_traffic(row["traffic_percent"]), time(row["effective_at"]), row["state"] or "", learned(row))
        for row in rows
    ]  # fmt: skip


def _changes(rows: list[dict[str, Any]]) -> list[Line]:
    """A step that came or went says its parameters itself: they are not told again one by one."""
    steps = {
        row["path"]
        for row in rows
        if row["section"] == "transformations" and None in (row["before"], row["after"])
    }
    lines: list[Line] = []
    for row in rows:
        name, mark, field = row["path"].rpartition("#")
        if row["section"] == "parameters" and row["path"].partition("__")[0] in steps:
            continue
        path = f"{label('file', name)} {field}" if mark else row["path"]
        path = path.replace(f"{Path.cwd()}/", "")
        section = _HEADINGS.get(row["section"], row["section"])
        lines.append((section, path, sides(row["before"], row["after"]), ""))
    return lines


def _object(value: Any) -> dict[str, Any]:
    """What should be an object may be anything: an event that breaks a facet's schema is kept (`warned`)."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(value: dict[str, Any], *keys: str) -> str:
    return " ".join(str(value[key]) for key in keys if value.get(key))


def _pairs(said: dict[str, Any], learned: str) -> list[Line]:
    lines = [(name, str(value)) for name, value in said.items() if value]
    return [(*line, learned if number == 0 else "") for number, line in enumerate(lines)]


_ABSENT: Final = {"changes": "no earlier version, or nothing that differs from it"}
_HEADINGS: Final = {"params": "parameters", "run": "made by", "dataInputs": "data"}
_SECTIONS: Final[dict[str, Callable[[Any], list[Line]]]] = {
    "model": _model,
    "run": _run,
    "data": _data,
    "transformations": _transformations,
    "params": _params,
    "code": _code,
    "environment": _environment,
    "metrics": _metrics,
    "evaluations": _evaluations,
    "artifact": _artifact,
    "registration": _registration,
    "deployments": _deployments,
    "changes": _changes,
}
