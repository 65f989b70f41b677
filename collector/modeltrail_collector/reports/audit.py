"""The trail of a model version for an auditor: from raw data to deployment, and the proof of it."""

from modeltrail_collector.reports import charts, datasets, facts, listings, provenance
from modeltrail_collector.reports.document import (
    NOT_RECORDED,
    OBSERVED,
    Column,
    Fact,
    Section,
    Table,
    section,
)
from modeltrail_collector.reports.gather import Dossier
from modeltrail_collector.reports.statements import TOPICS

TITLE = "Audit trail"
ABOUT = (
    "What the log recorded of this model version, from raw data to deployment. Each fact names the record of "
    "the log that says it (topic/partition/offset), and the last section whether these records are what was "
    "sealed. What nobody recorded is marked as not recorded."
)


def sections(dossier: Dossier) -> list[Section]:
    """The whole report."""
    return [
        section("The model", facts=[*facts.model(dossier), *facts.registration(dossier)]),
        trail(dossier),
        _data(dossier),
        section(
            "Training",
            facts=facts.training(dossier),
            tables=[
                listings.params(dossier),
                listings.metrics(dossier),
                listings.metrics_of_others(dossier),
            ],
            charts=charts.series(dossier),
        ),
        code(dossier),
        section(
            "Environment",
            facts=[*facts.software(dossier), *facts.resources(dossier)],
            tables=[listings.packages(dossier)],
        ),
        section(
            "Evaluation",
            tables=[listings.evaluations(dossier), listings.tests(dossier)],
            charts=charts.slices(dossier),
        ),
        section("Deployment", tables=[listings.deployments(dossier)]),
        section("Changes", tables=lifecycle(dossier)),
        section("In use", tables=listings.monitoring(dossier)),
        statements(dossier),
        proof(dossier),
    ]


def trail(dossier: Dossier) -> Section:
    """Every run from the raw data on."""
    begins = ", ".join(f"{thing.name} ({thing.namespace})" for thing in dossier.raw)
    if not dossier.maker:
        about = "Which run made the model, and of what, is not recorded."
    else:
        first = f"The trail begins with what no run of the log wrote: {begins}." if begins else ""
        about = " ".join(filter(None, (first, provenance.origin(dossier))))
    return Section(
        title="From raw data to deployment",
        about=about,
        status=(OBSERVED,) if dossier.steps else (NOT_RECORDED,),
        steps=dossier.steps,
    )


def _data(dossier: Dossier) -> Section:
    return section(
        "Data and features",
        tables=[
            datasets.data(dossier),
            datasets.data_uses(dossier),
            datasets.transformations(dossier),
            datasets.columns(dossier),
        ],
        charts=charts.profiles(dossier),
    )


def code(dossier: Dossier) -> Section:
    """The code that made it, and that which prepared its data."""
    return section(
        "Code",
        facts=facts.code(dossier),
        tables=[provenance.code(dossier)],
        texts=tuple(provenance.texts(dossier)),
    )


def lifecycle(dossier: Dossier) -> list[Table | None]:
    """What changed since the version before, what its registry did, and which versions there are."""
    return [
        listings.changes(dossier),
        provenance.changed(dossier),
        listings.in_registry(dossier),
        listings.versions(dossier),
    ]


def statements(dossier: Dossier) -> Section:
    """All that people said."""
    return section(
        "Statements by people",
        about="Not observed: said by the named person on the named day.",
        topics=[topic for topic in TOPICS if topic in dossier.said],
        said=dossier.said,
    )


def proof(dossier: Dossier) -> Section:
    """Where the records lie, and whether they are what was sealed."""
    found = dossier.evidence
    repaired = sum(1 for segment in found.segments if segment.repaired)
    told = [
        Fact(name="answer", value=found.answer, capture="recomputed"),
        Fact(name="records", value=len(found.records), form="number", capture="recomputed"),
        Fact(name="facets compared", value=found.facets, form="number", capture="recomputed"),
    ]
    if repaired:
        told.append(Fact(name="segments collected again after damage", value=repaired, form="number"))
    return Section(
        title="Proof",
        about=(
            "Every segment of the log that holds a record of this trail was recomputed: the SHA-256 of its "
            "file, that of each record, and the hash chain from its start to its end. Each facet quoted here "
            "was compared with the sealed record that it comes from. That no other segment is missing, and "
            "that the log was not cut short, the command modeltrail verify --head shows, with a head kept "
            "elsewhere."
        ),
        status=(OBSERVED,),
        facts=tuple(told),
        tables=(*([_problems(dossier)] if found.problems else []), _segments(dossier), _records(dossier)),
    )


def _problems(dossier: Dossier) -> Table:
    rows = tuple((problem,) for problem in dossier.evidence.problems)
    return Table(title="Not verified", columns=(Column("problem"),), rows=rows)


def _segments(dossier: Dossier) -> Table:
    return Table(
        title="Segments",
        columns=(
            Column("segment", "code"), Column("offsets"), Column("records", "number"),
            Column("sealed at", "time"), Column("SHA-256", "code"), Column("chain before", "code"),
            Column("chain after", "code"), Column("answer"),
        ),
        rows=tuple(
            (
                one.name, f"{one.first_offset} to {one.next_offset - 1}", one.records, one.sealed_at,
                one.sha256, one.chain_start, one.chain_end,
                f"{one.answer}, collected again" if one.repaired else one.answer,
            )
            for one in dossier.evidence.segments
        ),
    )  # fmt: skip


def _records(dossier: Dossier) -> Table:
    return Table(
        title="Records",
        columns=(
            Column("record", "code"), Column("job"), Column("event"), Column("event time", "time"),
            Column("verdict"), Column("SHA-256", "code"), Column("answer"),
        ),
        rows=tuple(
            (one.place, one.job, one.event_type, one.event_time, one.verdict, one.sha256, one.answer)
            for one in dossier.evidence.records
        ),
    )  # fmt: skip
