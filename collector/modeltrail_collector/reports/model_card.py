"""A model card: what the log observed of a model, and what people say that only people can."""

from modeltrail_collector.reports import audit, charts, datasets, facts, listings, provenance
from modeltrail_collector.reports.document import Section, section
from modeltrail_collector.reports.gather import Dossier

TITLE = "Model card"
ABOUT = (
    "Figures, data and training are what the log observed; intended use, factors, ethics and caveats are "
    "statements of the people named beside them. What nobody recorded is marked as not recorded."
)


def sections(dossier: Dossier) -> list[Section]:
    """The sections of a model card, in their usual order."""
    said = dossier.said
    return [
        section(
            "Model details",
            facts=[*facts.model(dossier), *facts.training(dossier)],
            tables=[datasets.bases(dossier)],
            topics=("description", "provider", "owner", "license"),
            said=said,
        ),
        section("Intended use", topics=("intended_use", "users", "out_of_scope"), said=said),
        section("Factors", topics=("factors",), said=said),
        section("Metrics", tables=[listings.metrics(dossier)], topics=("metric_rationale",), said=said),
        section(
            "Evaluation data",
            tables=[datasets.test_data(dossier)],
            topics=("validation_procedure",),
            said=said,
        ),
        section(
            "Training data",
            steps=provenance.steps(dossier),
            tables=[
                provenance.raw(dossier),
                datasets.data(dossier, "train", "calibration", "prompt", title="Training data"),
                datasets.possible(dossier),
                datasets.data_uses(dossier, "train"),
                datasets.transformations(dossier),
            ],
            charts=charts.profiles(dossier, "train"),
            topics=("data_collection", "labelling", "data_cleaning", "sensitive_data"),
            said=said,
        ),
        section(
            "Quantitative analyses",
            tables=[listings.evaluations(dossier)],
            charts=[*charts.slices(dossier), *charts.series(dossier)],
            topics=("discriminatory_impact",),
            said=said,
        ),
        section("Ethical considerations", topics=("ethics", "risks"), said=said),
        section("Caveats and recommendations", topics=("limitations", "caveats"), said=said),
        section("Training procedure", facts=facts.resources(dossier), tables=[listings.params(dossier)]),
        audit.code(dossier),
        section("Deployments", tables=[listings.deployments(dossier)]),
        audit.proof(dossier),
    ]
