"""The recipe of a model version: data, code, parameters, seeds and environment, as the log has them."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from modeltrail_collector.answers import names, obstacles, sources
from modeltrail_collector.answers import recipe as recipes
from modeltrail_collector.answers.database import Database, Row, opened
from modeltrail_collector.answers.places import Places, names_of
from modeltrail_collector.answers.recipe import (
    FILE,
    Artifact,
    Code,
    Data,
    Environment,
    Fingerprint,
    Location,
    Package,
    Recipe,
    Seed,
    Untracked,
)
from modeltrail_collector.answers.show import told
from modeltrail_collector.answers.writers import Node, find_writers
from modeltrail_collector.log import Log
from modeltrail_collector.tables.pairing import IN_MEMORY

REDACTED: Final = "[redacted]"
_SECTIONS: Final = ("model", "run", "data", "params", "code", "environment", "artifact")
_SEEDS: Final = {"python": "python", "numpy": "numpy", "framework": "framework"}


def reproduce(of: Log | Database, text: str) -> dict[str, Any]:
    """The recipe of `MODEL[@VERSION]`, one entry per field of `recipe.Recipe`.

    What nobody said is None, and its name is in `not_recorded`; `problems` are sentences about what stands in
    the way of making the model again. The answer is what `check` and `script` take.

    Raises NotFound for a model that is not in the log.
    """
    with opened(of) as db:
        model = names.model(db, text)
        sections = told(db, model, _SECTIONS)
        made = _recipe(sections, _Said(db, model["run_id"]))
        made.judged_on = _judged_on(db, model, made.data or ())
    made.not_recorded = recipes.not_recorded(made)
    made.problems = obstacles.problems(made)
    answer: dict[str, Any] = msgspec.to_builtins(made)
    return answer


class _Said:
    """What `show` does not tell of a run: more facets of its inputs, who made them, what else it wrote."""

    def __init__(self, db: Database, run_id: str) -> None:
        keys = "'modelTrail_dataUse', 'dataSource', 'storage', 'environmentVariables', 'modelTrail_model'"
        facets = db.read(
            "facets",
            'namespace, name, "key", "value", topic, topic_id, "partition", "offset"',
            runs=[run_id],
            where=f"""value IS NOT NULL AND key IN ({keys})
                AND (scope IN ('run', 'input', 'input_facet') OR key = 'modelTrail_model')""",
        )
        self.facets = {
            (row["namespace"], row["name"], row["key"]): row | {"value": _object(json.loads(row["value"]))}
            for row in facets
        }
        placed = db.read(
            "run_datasets",
            "namespace, name, kind, version, fingerprint, role, use, identities",
            runs=[run_id],
            then="ORDER BY namespace, name",
        )
        read = [row for row in placed if row["role"] == "input"]
        self.has_sources = any(row["namespace"] != IN_MEMORY for row in read)
        self.makers = self._makers(db, run_id, read)
        outputs = [row for row in placed if row["role"] == "output"]
        told = ("namespace", "name", "kind", "version", "fingerprint")
        self.outputs = [{name: row[name] for name in told} for row in outputs]
        named = {(row["namespace"], row["name"]) for row in outputs}
        named.update(*(names_of(row["identities"]) for row in outputs))
        self.written = {name for namespace, name in named if namespace == FILE}

    @staticmethod
    def _makers(db: Database, run_id: str, inputs: list[Row]) -> dict[tuple[str, str], Row]:
        """The run that wrote the very content that this one read, by input, as `trace` finds it."""
        reader = sources.runs_of(db, [run_id]).get(run_id, {})
        known = ("namespace", "name", "kind", "version", "fingerprint", "use")
        nodes = [
            Node(
                **{name: row[name] for name in known},
                symlinks=names_of(row["identities"]),
                reader=run_id,
                before=reader.get("started_at") or reader.get("wrote_at"),
                until=reader.get("wrote_at"),
            )
            for row in inputs
        ]
        find_writers(db, nodes, Places(db))
        makers = {
            (node.namespace, node.name): node.run["run_id"]
            for node in nodes
            if node.run and not node.by_name and node.run["run_id"] != run_id
        }
        runs = sources.runs_of(db, set(makers.values()))
        told = ("run_id", "job_namespace", "job_name")
        return {identity: {name: runs[maker][name] for name in told} for identity, maker in makers.items()}

    def value(self, namespace: str | None, name: str | None, key: str) -> Row:
        """The fields of a facet; none where it was not said."""
        found = self.facets.get((namespace, name, key))
        value: Row = found["value"] if found else {}
        return value

    def of_model(self, model: Row) -> Row:
        """How what a model says of itself was learned, and in which record."""
        name, key = (model["namespace"], model["name"]), "modelTrail_model"
        said = [row for (*_, called), row in self.facets.items() if called == key]
        found = self.facets.get((*name, key)) or next(iter(said), None)
        place = _place(found) if found else None
        return {"capture": found and _text(found["value"].get("capture")), "source": place}


def _recipe(shown: Mapping[str, Any], said: _Said) -> Recipe:
    run, model = shown["run"], shown["model"]
    training = _training(run.pop("training") if run else None, model, said)
    return Recipe(
        model=model,
        run=run,
        data=_all_data(shown["data"] or (), said) or None,
        code=_code(shown["code"], said.written),
        params=shown["params"],
        seeds=_seeds(training, said),
        environment=_environment(shown["environment"], said),
        training=training,
        artifact=_artifact(shown["artifact"], model),
        outputs=said.outputs,
    )


def _training(told: Row | None, model: Row, said: _Said) -> Row | None:
    """What is told of the training; else what the model says of itself."""
    known = {
        "algorithm": model["algorithm"],
        "framework": model["framework"],
        "frameworkVersion": model["framework_version"],
        "task": model["task"],
    }
    if told is None:
        return known | said.of_model(model) if any(known.values()) else None
    if model["algorithm"]:  # of a run that trained several the facet tells of the last one
        return told | known
    return told | {name: value for name, value in known.items() if value and not told.get(name)}


def _all_data(rows: Sequence[Row], said: _Said) -> list[Data]:
    found = [_data(row, said) for row in rows]
    if all(data.namespace == IN_MEMORY for data in found):
        for data in found:
            data.how = "the run made it in memory; no other data is recorded that it read"
    return found


def _data(row: Row, said: _Said) -> Data:
    namespace, name = row["namespace"], row["name"]
    use = said.value(namespace, name, "modelTrail_dataUse")
    found = _object(use.get("fingerprint"))
    digest = _text(found.get("digest")) or row["fingerprint"]
    fingerprint = None
    if digest and found.get("scope") != "none":
        words = {key: _text(found.get(key)) for key in ("algorithm", "scope", "canonicalisation")}
        fingerprint = Fingerprint(digest=digest, **words)
    uri = _text(said.value(namespace, name, "dataSource").get("uri"))
    maker = said.makers.get((namespace, name))
    storage = _text(said.value(namespace, name, "storage").get("storageLayer"))
    return Data(
        namespace=namespace,
        name=name,
        how=_how(row, uri, storage, maker, has_sources=said.has_sources),
        use=row["use"],
        version=row["version"],
        rows=row["rows"],
        fingerprint=fingerprint,
        uri=uri
        or (None if namespace in {FILE, IN_MEMORY} else f"{namespace.rstrip('/')}/{name.lstrip('/')}"),
        split=_object(use.get("split")) or None,
        made_by=maker,
        capture=row.get("capture"),
        source=row["source"],
    )


def _judged_on(db: Database, model: Row, told: Iterable[Data]) -> list[Data]:
    """Files that evaluations inside of the making run read, and it did not."""
    (runs,) = sources.judging(db, [model])
    inside = db.read("runs", "run_id", runs=runs, where="parent_run_id = $made", made=model["run_id"])
    read = db.read(
        "run_datasets",
        "DISTINCT ON (name) namespace, name, use, version, fingerprint, rows",
        runs=[row["run_id"] for row in inside],
        where="role = 'input' AND kind = 'dataset' AND namespace = $file AND fingerprint IS NOT NULL",
        then="ORDER BY name, run_id",
        file=FILE,
    )
    known = {data.name for data in told if data.namespace == FILE}
    return [
        Data(
            namespace=FILE,
            name=row["name"],
            how="the file as it was, to evaluate the model",
            use=row["use"],
            version=row["version"],
            rows=row["rows"],
            fingerprint=Fingerprint(digest=row["fingerprint"]),
        )
        for row in read
        if row["name"] not in known
    ]


def _how(row: Row, uri: str | None, storage: str | None, maker: Row | None, *, has_sources: bool) -> str:
    """How to get this version, in a sentence."""
    if row["namespace"] == IN_MEMORY:
        other = "from the other data and the code" if has_sources else "from what was not recorded"
        return f"the run made it in memory, {other}"
    made = f"; run {maker['run_id']} of {maker['job_name']} wrote it" if maker else ""
    if row["namespace"] == FILE:
        return f"the file as it was{made}"
    where = uri or f"{row['namespace']}/{row['name']}"
    version = row["version"]
    if version and storage in {"delta", "iceberg"}:
        return f"version {version} of the {storage} table at {where}{made}"
    return f"version {version} at {where}{made}" if version else f"at {where}, as it was{made}"


def _code(told: Row | None, written: Collection[str] = ()) -> Code | None:
    """What the run wrote itself lay there from the time before, and is no code."""
    if told is None:
        return None
    said = _object(told.get("location"))
    location = Location(
        repository=_without_secret(_text(said.get("repoUrl"))),
        url=_text(said.get("url")),
        **{key: _text(said.get(key)) for key in ("path", "branch", "tag")},
        capture=_text(said.get("capture")),
        source=said.get("source"),
    )
    root, cwd = _text(told.get("root")), _text(told.get("cwd"))
    notebook = _text(_object(told.get("notebook")).get("path"))
    untracked = _objects(told.get("untracked"))
    command, capture = _command(told)
    return Code(
        vcs=_text(told.get("vcs")),
        commit=_text(told.get("commit")) or _text(said.get("version")),
        dirty=told["dirty"] if isinstance(told.get("dirty"), bool) else None,
        diff=_text(told.get("diff")),
        diff_sha256=_text(told.get("diffSha256")),
        diff_state=recipes.diff_state(told, _text(said.get("path"))),
        untracked=[
            Untracked(path=path, sha256=_text(file.get("sha256")))
            for file in untracked
            if (path := _text(file.get("path"))) and f"{root}/{path}" not in written
        ]
        if isinstance(told.get("untracked"), list)
        else None,
        untracked_left_out=recipes.unlisted(
            told.get("untracked"), told.get("untrackedTruncated"), told.get("untrackedCount")
        ),
        elsewhere=(others := recipes.elsewhere(told)),
        elsewhere_unread=recipes.unread(others, told.get("elsewhereCount")),
        entry_point=_text(told.get("entryPoint")),
        command=command,
        command_capture=capture,
        cwd=cwd,
        root=root,
        directory=recipes.inside(cwd, root),
        notebook=notebook,
        source_sha256=_text(told.get("sourceSha256")),
        location=location if said else None,
        capture=_text(told.get("capture")),
        source=told["source"],
    )


def _command(told: Row) -> tuple[list[str] | None, str | None]:
    """The command line as it was said; else concluded from what the program saw of it."""
    said = told.get("command")
    if isinstance(said, list) and said and all(isinstance(part, str) for part in said):
        return said, _text(told.get("capture"))
    argv, entry = told.get("argv"), _text(told.get("entryPoint")) or ""
    if not isinstance(argv, list) or not argv or not all(isinstance(part, str) for part in argv):
        return None, None
    if entry.startswith("-m "):
        return ["python", "-m", entry.removeprefix("-m "), *argv[1:]], "inferred"
    if argv[0].endswith(".py"):
        return ["python", *argv], "inferred"
    return (argv, "inferred") if PurePosixPath(argv[0]).name.startswith("python") else (None, None)


def _seeds(training: Row | None, said: _Said) -> list[Seed]:
    """The shared generators, the estimator's own seed, and that of hashes."""
    told = _object((training or {}).get("seeds"))
    place = {key: (training or {}).get(key) for key in ("capture", "source")}
    seeds = [
        Seed(name=name, value=_number(told[key]), recorded=True, **place) if key in told else Seed(name=name)
        for name, key in _SEEDS.items()
    ]
    variables = said.facets.get((None, None, "environmentVariables"))
    if variables is None:
        return [*seeds, Seed(name="PYTHONHASHSEED")]
    value = _variables(variables["value"]).get("PYTHONHASHSEED")
    hashes = Seed(
        name="PYTHONHASHSEED", value=value, recorded=True, capture="observed", source=_place(variables)
    )
    return [*seeds, hashes]


def _environment(told: Row | None, said: _Said) -> Environment | None:
    variables = said.facets.get((None, None, "environmentVariables"))
    known = _variables(variables["value"]) if variables else None
    if told is None:
        return Environment(variables=known, source=_place(variables)) if variables else None
    python, system = _object(told.get("python")), _object(told.get("os"))
    engine = told if str(told.get("name", "")).lower() in {"python", "cpython"} else {}
    packages = told.get("packages")
    return Environment(
        python=_text(python.get("version")) or _text(engine.get("version")),
        implementation=_text(python.get("implementation")),
        system=_text(system.get("name")),
        architecture=_text(system.get("arch")),
        packages=[
            Package(
                name=name, version=version, install=recipes.install(name, version, _text(each.get("source")))
            )
            for each in _objects(packages)
            if (name := _text(each.get("name"))) and (version := _text(each.get("version")))
        ]
        if isinstance(packages, list)
        else None,
        **{key: _object(told.get(key)) or None for key in ("lockfile", "container", "hardware")},
        variables=known,
        capture=_text(told.get("capture")),
        source=told["source"],
    )


def _artifact(told: Row | None, model: Row) -> Artifact | None:
    if told is not None:
        size = told.get("sizeBytes")
        return Artifact(
            digest=_text(told.get("digest")),
            algorithm=_text(told.get("digestAlgorithm")),
            uri=_text(told.get("uri")),
            size_bytes=size if isinstance(size, int) else None,
            capture=_text(told.get("capture")),
            source=told["source"],
        )
    return Artifact(digest=model["digest"], algorithm=model["digest_algorithm"]) if model["digest"] else None


def _without_secret(url: str | None) -> str | None:
    return url.replace(f"{REDACTED}@", "") if url else None


def _variables(facet: Row) -> dict[str, str]:
    return {
        name: value
        for each in _objects(facet.get("environmentVariables"))
        if (name := _text(each.get("name"))) and (value := _text(each.get("value"))) is not None
    }


def _place(row: Row) -> Row:
    return {name: row[name] for name in ("topic", "topic_id", "partition", "offset")}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    """A producer may break a facet's schema and be kept (`warned`): what should be text may be anything."""
    return value if isinstance(value, str) and value else None


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Row]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
