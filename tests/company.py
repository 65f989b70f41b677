"""A company that trains models, for tests: what it really did, and the events that tell of it.

Nothing here knows how the product works. Content lies somewhere until other content is written there; a run
reads what lies there when it begins, and writes when it ends. Producers tell of that more or less:
fingerprints, versions or nothing, one name or another, which went into what or all that was read.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

REGISTRIES = ("modeltrail://registry", "mlflow://host")
TELLING = ("digest", "version", "nothing", "either")
MODEL = {"datasetType": "MODEL", "subType": "ML_MODEL"}

Name = tuple[str, str]


@dataclass(eq=False)
class Content:
    """What lay somewhere: the run that wrote it, under which name, and the reads that went into it.

    `is_told` says whether the digest is, by whoever wrote it.
    """

    place: Name
    digest: str
    version: str
    run: "Run | None" = None
    sources: list["Read"] = field(default_factory=list)
    called: Name = ("", "")
    registered: set[tuple[str, str, str]] = field(default_factory=set)
    is_model: bool = False
    is_told: bool = True


@dataclass(eq=False)
class Read:
    """What a run read under a name: of a folder all that lay in it."""

    called: Name
    contents: list[Content]


@dataclass(eq=False)
class Run:
    """One run, with what it read and made, and what it reports of itself."""

    id: str
    job: str
    start: datetime
    end: datetime
    state: str = "COMPLETE"
    reads: list[Read] = field(default_factory=list)
    made: list[Content] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Deployment:
    """A model version that got a share of an endpoint, or was taken away from it."""

    run: Run
    at: datetime
    endpoint: tuple[str, str]
    action: str
    share: float | None
    model: tuple[str, str, str]
    content: Content


class Company:
    """So many random things that happened; `events` tell of them, in their order."""

    def __init__(self, seed: int, make: Any, steps: int) -> None:
        self.chance, self.make, self.now = random.Random(seed), make, make.base
        self.runs: list[Run] = []
        self.events: list[dict[str, Any]] = []
        self.lay: dict[Name, list[tuple[datetime, Content]]] = defaultdict(list)
        self.models: list[Content] = []
        self.registered: dict[tuple[str, str, str], Content] = {}
        self.deleted: set[tuple[str, str, str]] = set()
        self.aliases: dict[tuple[str, str, str], tuple[str, str, str]] = {}
        self.deployments: list[Deployment] = []
        self.folder = ("file", "/lake/days")
        self.tables = [("file", f"/lake/{name}") for name in ("orders", "users", "clicks", "prices")]
        self.known_as = {place: ("hive", f"db.{place[1][6:]}") for place in self.tables[:2]}
        self.telling: dict[Name, str] = {}
        acts = [self.ingest, self.ingest, self.prepare, self.prepare, self.train, self.train, self.register,
                self.deploy, self.evaluate, self.fail, self.in_registry]  # fmt: skip
        for _ in range(steps):
            self.now += timedelta(minutes=self.chance.randint(1, 300))
            self.chance.choice(acts)()

    # What happens.

    def ingest(self) -> None:
        """What somebody delivers is written over a table, or in a folder; of deliveries nobody tells."""
        run = self._run("ingest")
        place = ("ftp", self.chance.choice(["crm.csv", "web.csv", "erp.csv"]))
        self.telling[place] = "digest"
        if not self.lay[place] or self._likely(0.5):
            self.lay[place].append((run.start, Content(place, self._digest(), str(len(self.lay[place])))))
        day = ("file", f"{self.folder[1]}/{self.chance.randint(1, 4)}")
        target = day if self._likely(0.4) else self.chance.choice(self.tables)
        read = self._read(run, place, "other")
        self._tell(run, [read], [self._write(run, target, run.reads)])

    def prepare(self) -> None:
        """Features are made of tables, folders and other features."""
        run = self._run("prepare")
        read = self._read_some(run, 3, "other")
        targets = self.chance.sample([("file", f"/lake/features{number}") for number in range(3)], 2)
        if not read:
            self.runs.remove(run)
            return
        self._make(run, read, targets[: self.chance.randint(1, 2)], is_model=False)

    def train(self) -> None:
        """One model or two are trained, some on from models, over what lay in their place or not."""
        run = self._run("train")
        read = self._read_some(run, 2, "train")
        if not read:
            self.runs.remove(run)
            return
        bases = {model.place for model in self.chance.sample(self.models, min(2, len(self.models)))}
        for base in sorted(bases) if self._likely(0.4) else ():
            read += self._read_one(run, base, "train")
        targets = [("file", f"/models/{name}.bin") for name in self.chance.sample("abc", 2)]
        run.told = {"C": self.chance.randint(1, 3), "loss": self.chance.random()}
        params = [{"name": "C", "value": run.told["C"], "type": "int"}]
        said = {
            "training": {"framework": "sklearn", "frameworkVersion": "1", "algorithm": "A"},
            "hyperparameters": {"params": params, "capture": "observed"},
            "metrics": {"metrics": [{"name": "loss", "value": run.told["loss"]}]},
        }
        facets = {f"modelTrail_{key}": self.make.facet(key, **fields) for key, fields in said.items()}
        self._make(run, read, targets[: self.chance.choice([1, 1, 2])], is_model=True, run_facets=facets)

    def fail(self) -> None:
        """A run reads and then fails, is stopped, or never says that it ended."""
        run = self._run("train")
        run.state = self.chance.choice(["FAIL", "ABORT", "START"])
        self._tell(run, self._read_some(run, 2, "train"), [])

    def evaluate(self) -> None:
        """A run of its own judges a model that is there."""
        run = self._run("evaluate")
        there = [model for model in self.models if self._at(model.place, run.start) is model]
        data = self._read_some(run, 1, "test")
        if not there or not data:
            self.runs.remove(run)
            return
        model = self.chance.choice(there)
        run.told = {"judged": model, "auc": self.chance.random()}
        run.reads.append(Read(model.place, [model]))
        judged = self.make.facet(
            "evaluation", evaluationId="e", modelVersion=model.digest[:12], modelDigest=model.digest,
            dataset={"name": data[0]["name"]}, metrics=[{"name": "auc", "value": run.told["auc"]}],
        )  # fmt: skip
        self._tell(
            run, [*data, self.make.dataset(model.place[1], inputFacets__modelTrail_evaluation=judged)], []
        )

    def register(self) -> None:
        """Bytes become the next version of a name in one of two registries, in a run of their own."""
        made = [model for model in self.models if model.run and model.run.end <= self.now]
        if made:
            model, run = self.chance.choice(made), self._run("register")
            of = (self.chance.choice(REGISTRIES), f"models/{self.chance.choice(['churn', 'risk'])}")
            version = (*of, str(1 + sum(one[:2] == of for one in self.registered)))
            self.registered[version] = model
            model.registered.add(version)
            self._act(run, version, "register", digest=model.digest)

    def in_registry(self) -> None:
        """A version is deleted, or becomes the champion of its name."""
        there = [version for version in self.registered if version not in self.deleted]
        if there:
            version, run = self.chance.choice(there), self._run("registry")
            if self._likely(0.3):
                self.deleted.add(version)
                self.aliases = {alias: of for alias, of in self.aliases.items() if of != version}
                self._act(run, version, "delete")
            else:
                self.aliases[*version[:2], "champion"] = version
                self._act(run, version, "alias_set", aliases=["champion"])

    def deploy(self) -> None:
        """A registered version gets traffic of an endpoint, or is taken away, before or after it is told."""
        if not self.registered:
            return
        run = self._run("deploy")
        run.state = self.chance.choice(["COMPLETE"] * 5 + ["FAIL"])
        version = self.chance.choice(list(self.registered))
        action = self.chance.choice(["create", "shift_traffic", "rollback", "retire"])
        share = None if action == "retire" else self.chance.choice([None, 100, 50, 10])
        endpoint = self.chance.choice(["api", "batch"]), self.chance.choice(["production", "staging"])
        at = run.end + timedelta(minutes=self.chance.choice([0, 0, -200, 300]))
        content = self.registered[version]
        self.deployments.append(Deployment(run, at, endpoint, action, share, version, content))
        model = dict(zip(("namespace", "name", "version"), version, strict=True))
        said = self.make.facet(
            "deployment", action=action, endpoint={"platform": "k8s", "name": endpoint[0]},
            environment=endpoint[1], trafficPercent=share, effectiveAt=at.isoformat(),
            model=model | ({"digest": content.digest} if self._likely(0.5) else {}),
        )  # fmt: skip
        self._tell(run, [], [], run_facets={"modelTrail_deployment": said})

    # What is true.

    def steps_behind(self, content: Content) -> set[tuple[str, Name, str | None]]:
        """The way back: (run, what it read by its name, the run that had written that)."""
        found, waiting, seen = set(), [content], set()
        while waiting:
            one = waiting.pop()
            if one.run is None or one in seen:
                continue
            seen.add(one)
            for read in one.sources:
                found |= {(one.run.id, read.called, each.run and each.run.id) for each in read.contents}
                waiting += read.contents
        return found

    def learned_from(self, content: Content) -> tuple[set[Run], set[Content]]:
        """The runs that read it or what came of it, and what came of it."""
        found, waiting = {content}, [content]
        while waiting:
            one = waiting.pop()
            came = {each for run in self.runs for each in run.made if _reads(each.sources, one)} - found
            found |= came
            waiting += came
        return {run for run in self.runs if any(_reads(run.reads, one) for one in found)}, found - {content}

    def in_force(self, at: datetime, deployments: list[Deployment]) -> set[tuple[Any, ...]]:
        """Of these deployments those that are in force at a time: endpoint, environment, version, run."""
        there: dict[tuple[str, str], dict[tuple[str, str, str], str]] = defaultdict(dict)
        for one in sorted(deployments, key=lambda one: (one.at, one.run.id)):
            if one.at > at or one.run.state == "FAIL":
                continue
            if one.action == "retire":
                there[one.endpoint].pop(one.model, None)
                continue
            if one.share in {None, 100}:
                there[one.endpoint].clear()
            there[one.endpoint][one.model] = one.run.id
        return {(*place, *model, run) for place, several in there.items() for model, run in several.items()}

    # How it is told.

    def _run(self, job: str) -> Run:
        end = self.now + timedelta(minutes=self.chance.choice([1, 5, 30, 400]))
        run = Run(self.make.uuid7(self.now, len(self.events) + 1), job, self.now, end)
        self.runs.append(run)
        return run

    def _tell(
        self,
        run: Run,
        inputs: list[dict],
        outputs: list[dict],
        lineage: list[dict] | None = None,
        **facets: Any,
    ) -> None:
        jobs = {} if lineage is None else {"lineage": self.make.facet("lineage", entries=lineage)}
        early = inputs if run.state == "START" or self._likely(0.7) else []
        self.events.append(self.make.run_event("START", run.start, run.id, run.job, inputs=early))
        if run.state != "START":
            told = {"inputs": inputs, "outputs": outputs, "job_facets": jobs, **facets}
            self.events.append(self.make.run_event(run.state, run.end, run.id, run.job, **told))

    def _make(
        self, run: Run, inputs: list[dict], targets: list[Name], *, is_model: bool, **facets: Any
    ) -> None:
        """Write these, each of all that was read or, where the run says so, of some of it."""
        is_exact = self._likely(0.6)
        outputs, lineage = [], []
        for target in targets:
            some = self.chance.sample(run.reads, self.chance.randint(1, len(run.reads)))
            outputs.append(self._write(run, target, some if is_exact else run.reads, is_model=is_model))
            came = [_as_entry(read.called) for read in run.made[-1].sources]
            lineage.append({**_as_entry(run.made[-1].called), "inputs": came})
        self._tell(run, inputs, outputs, lineage if is_exact else None, **facets)

    def _act(self, run: Run, of: tuple[str, str, str], action: str, digest: str = "", **more: Any) -> None:
        registration = self.make.facet(
            "registration", registry={"system": "r", "uri": "r://r"}, name=of[1].rpartition("/")[2],
            version=of[2], action=action, at=run.start.isoformat(), **more,
        )  # fmt: skip
        version = self.make.facet("version", datasetVersion=of[2])
        artifact = (
            {"outputFacets__modelTrail_modelArtifact": self._artifact(digest, written=False)}
            if digest
            else {}
        )
        model = self.make.dataset(
            of[1], namespace=of[0], version=version, modelTrail_registration=registration, **artifact
        )
        self._tell(run, [], [model])

    def _artifact(self, digest: str, **more: Any) -> dict[str, Any]:
        return self.make.facet(
            "artifact", digest=digest, digestAlgorithm="sha256", uri="file:///m", sizeBytes=1, **more
        )

    def _write(self, run: Run, place: Name, sources: list[Read], *, is_model: bool = False) -> dict[str, Any]:
        content = Content(place, self._digest(), str(len(self.lay[place]) + 1), run, list(sources))
        self.lay[place].append((run.end, content))
        run.made.append(content)
        content.called, facets = self._named(place)
        how = "digest" if is_model else self._how(place)
        content.is_told = how == "digest"
        if how != "nothing":
            said = content.digest if how == "digest" else content.version
            facets["version"] = self.make.facet("version", datasetVersion=said)
        if is_model:
            content.is_model = True
            self.models.append(content)
            facets["datasetType"] = self.make.facet("datasetType", **MODEL)
            facets["outputFacets__modelTrail_modelArtifact"] = self._artifact(content.digest)
        return self.make.dataset(content.called[1], namespace=content.called[0], **facets)

    def _read(self, run: Run, place: Name, role: str) -> dict[str, Any] | None:
        """Read what lies there, if anything does, as an input."""
        inside = [name for name in self.lay if name[1].startswith(f"{place[1]}/")]
        contents = [one for name in inside or [place] if (one := self._at(name, run.start)) is not None]
        if not contents:
            return None
        called, facets = self._named(place)
        run.reads.append(Read(called, contents))
        how = self.chance.choice(["digest", "nothing"]) if inside else self._how(place)
        how = "digest" if contents[0].is_model else how
        digest = (
            contents[0].digest if not inside else self.make.digest(repr([one.digest for one in contents]))
        )
        if how == "version":
            facets["version"] = self.make.facet("version", datasetVersion=contents[0].version)
        if how == "digest" or self._likely(0.5):
            said = {
                "digest": digest if how == "digest" else "",
                "scope": "full" if how == "digest" else "none",
            }
            facets["inputFacets__modelTrail_dataUse"] = self.make.facet(
                "dataUse", role=role, fingerprint={"algorithm": "sha256", **said}, capture="observed"
            )
        return self.make.dataset(called[1], namespace=called[0], **facets)

    def _read_one(self, run: Run, place: Name, role: str) -> list[dict[str, Any]]:
        found = self._read(run, place, role)
        return [] if found is None else [found]

    def _read_some(self, run: Run, most: int, role: str) -> list[dict[str, Any]]:
        features = [name for name in self.lay if name[1].startswith("/lake/features")]
        among = [*self.tables, self.folder, *features]
        chosen = self.chance.sample(among, self.chance.randint(1, most))
        return [found for place in chosen for found in self._read_one(run, place, role)]

    def _at(self, place: Name, when: datetime) -> Content | None:
        """What was written there last by then."""
        written = [(at, number, one) for number, (at, one) in enumerate(self.lay[place]) if at <= when]
        return max(written, key=lambda one: one[:2])[2] if written else None

    def _named(self, place: Name) -> tuple[Name, dict[str, Any]]:
        """One of the names of a place, perhaps with the other one."""
        table = self.known_as.get(place)
        if table is None:
            return place, {}
        own, other = (place, table) if self._likely(0.5) else (table, place)
        link = {"namespace": other[0], "name": other[1], "type": "TABLE"}
        is_linked = own == table or self._likely(0.5)
        return own, {"symlinks": self.make.facet("symlinks", identifiers=[link])} if is_linked else {}

    def _how(self, place: Name) -> str:
        """How who reads or writes there tells which content that is."""
        how = self.telling.setdefault(place, self.chance.choice(TELLING))
        return self.chance.choice(["digest", "nothing"]) if how == "either" else how

    def _digest(self) -> str:
        return self.make.digest(str(self.chance.random()))

    def _likely(self, chance: float) -> bool:
        return self.chance.random() < chance


def _reads(reads: list[Read], content: Content) -> bool:
    return any(content in read.contents for read in reads)


def _as_entry(name: Name) -> dict[str, Any]:
    return {"namespace": name[0], "name": name[1], "type": "DATASET"}
