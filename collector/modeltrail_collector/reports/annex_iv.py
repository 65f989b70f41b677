"""The technical documentation of Annex IV of the EU AI Act, item by item, as far as a log can speak.

The titles are short forms of the items of Regulation (EU) 2024/1689, not its text.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from modeltrail_collector.reports import audit, charts, datasets, facts, listings, provenance
from modeltrail_collector.reports.document import Fact, Section, Table, section
from modeltrail_collector.reports.gather import Dossier

TITLE = "Technical documentation (EU AI Act, Annex IV)"
ABOUT = (
    "Item by item what the log observed and what people stated. Nothing is filled in: without either "
    "it says not recorded. This is material for the technical documentation of Article 11, not legal advice "
    "and no declaration of conformity; a log of training is not the log of the system in operation that "
    "Article 12 asks for."
)


class _Item:
    """One item: what of a dossier speaks to it, by fields of a section, and the topics of people."""

    def __init__(
        self,
        number: str,
        title: str,
        topics: str = "",
        **readers: Callable[[Dossier], Iterable[Any]],
    ) -> None:
        self.number, self.title, self.topics = number, title, topics.split()
        self.readers = readers

    def section(self, dossier: Dossier) -> Section:
        read: dict[str, Any] = {name: tuple(reader(dossier)) for name, reader in self.readers.items()}
        return section(self.title, number=self.number, topics=self.topics, said=dossier.said, **read)


def sections(dossier: Dossier) -> list[Section]:
    """Every item, in the order of the Annex, and the proof of what is quoted."""
    return [*(item.section(dossier) for item in _ITEMS), audit.proof(dossier)]


def _data_sets(dossier: Dossier) -> list[Table | None]:
    learned = ("train", "validation", "calibration", "prompt")
    return [
        provenance.raw(dossier),
        provenance.code(dossier),
        datasets.data(dossier, *learned, title="Data it learned from"),
        datasets.possible(dossier),
        datasets.data_uses(dossier, *learned),
        datasets.transformations(dossier),
        datasets.columns(dossier, *learned),
    ]


def _tests(dossier: Dossier) -> list[Table]:
    return [
        datasets.test_data(dossier),
        listings.metrics(dossier, "validation", "test"),
        listings.evaluations(dossier, sliced=False),
        listings.evaluations(dossier, sliced=True),
        listings.tests(dossier),
    ]


def _reports(dossier: Dossier) -> list[Fact]:
    found = [
        facts.fact(dossier, {**value, "source": row}, name, path)
        for row, value in dossier.everywhere("modelTrail_evaluation")
        for name, path in (("reviewer of the test", "reviewer"), ("signed test report", "signedReport"))
    ]
    known = [one for one in found if one.value is not None]
    return known or [
        Fact(name="reviewer of the test", value=None),
        Fact(name="signed test report", value=None),
    ]


def _signature(dossier: Dossier) -> list[Fact]:
    artifact = dossier.story["artifact"]
    return [facts.fact(dossier, artifact, "signature of the model", "signatureBundle", "code")]


def _lifecycle(dossier: Dossier) -> list[Table | None]:
    return [*audit.lifecycle(dossier), listings.deployments(dossier)]


_ITEMS: Final = (
    _Item(
        "1(a)",
        "Intended purpose, provider, and version with its relation to earlier ones",
        "intended_use provider",
        facts=facts.model,
        tables=lambda dossier: [listings.versions(dossier)],
    ),
    _Item("1(b)", "Interaction with hardware, software and other AI systems", "interactions"),
    _Item(
        "1(c)",
        "Versions of relevant software, and requirements on updates",
        "update_requirements",
        facts=facts.software,
        tables=lambda dossier: [listings.packages(dossier)],
    ),
    _Item(
        "1(d)",
        "Forms in which it is placed on the market or put into service",
        "forms_on_market",
        tables=lambda dossier: [listings.deployments(dossier)],
    ),
    _Item("1(e)", "Hardware on which it is intended to run", "target_hardware"),
    _Item("1(f)", "Products of which it is a part", "product_illustrations"),
    _Item("1(g)", "User interface given to the deployer", "user_interface"),
    _Item("1(h)", "Instructions for use", "instructions_for_use"),
    _Item(
        "2(a)",
        "Methods and steps of development; pre-trained systems and tools of others",
        "third_party_components",
        facts=lambda dossier: [*facts.training(dossier), *facts.code(dossier)],
        tables=lambda dossier: [datasets.bases(dossier), datasets.transformations(dossier)],
        texts=provenance.texts,
    ),
    _Item(
        "2(b)",
        "Design: general logic, key choices, what it is optimised for, expected output, trade-offs",
        "design_choices optimised_for expected_output trade_offs",
        tables=lambda dossier: [listings.params(dossier)],
        charts=charts.series,
    ),
    _Item(
        "2(c)",
        "Architecture, and computational resources of development, training and testing",
        "architecture",
        facts=facts.resources,
    ),
    _Item(
        "2(d)",
        "Training data: provenance, scope, characteristics, selection, labelling, cleaning",
        "data_collection labelling data_cleaning",
        steps=provenance.steps,
        tables=_data_sets,
        charts=lambda dossier: charts.profiles(dossier, "train"),
    ),
    _Item("2(e)", "Assessment of human oversight measures", "human_oversight"),
    _Item("2(f)", "Changes determined in advance", "predetermined_changes"),
    _Item(
        "2(g)",
        "Validation and testing: data, metrics, discriminatory impact, signed test reports",
        "validation_procedure discriminatory_impact test_sign_off",
        facts=_reports,
        tables=_tests,
        charts=charts.slices,
    ),
    _Item("2(h)", "Cybersecurity measures", "cybersecurity", facts=_signature),
    _Item(
        "3",
        "Monitoring, functioning and control: limitations, risks, oversight, input data",
        "limitations risks human_oversight input_specification",
        tables=listings.monitoring,
    ),
    _Item("4", "Appropriateness of the performance metrics", "metric_rationale"),
    _Item("5", "Risk management system", "risk_management"),
    _Item("6", "Relevant changes through the lifecycle", tables=_lifecycle),
    _Item("7", "Harmonised standards that were applied", "standards"),
    _Item("8", "EU declaration of conformity", "declaration_of_conformity"),
    _Item(
        "9", "Evaluation after it was put on the market", "post_market_monitoring", tables=listings.monitoring
    ),
)
