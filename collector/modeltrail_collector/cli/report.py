"""`modeltrail report`: a document about one model version."""

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import click

from modeltrail_collector.cli.asking import asking, past_options
from modeltrail_collector.cli.output import log_option
from modeltrail_collector.reports import FORMATS

for _package in ("jinja2", "cyclonedx", "spdx_python_model"):
    if find_spec(_package) is None:  # of the extra `report`: missed when the command is loaded
        raise ModuleNotFoundError(f"No module named {_package!r}", name=_package)

_FORMATS = tuple(dict.fromkeys(format_ for formats in FORMATS.values() for format_ in formats))


@click.command()
@click.argument("model", metavar="MODEL[@VERSION]")
@log_option
@past_options
@click.option(
    "--kind", type=click.Choice([*FORMATS]), default="audit", show_default=True, help="What to write."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    help="How to write it; without it html for a document, json for what machines read.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there instead of to stdout.",
)
@click.option(
    "--statements",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="What people state about the model (TOML or YAML), each with author and date.",
)
@click.option(
    "--made-at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]),
    help="The report's own time (UTC), the same for output that can be reproduced; without it now.",
)
def report(
    model: str,
    log_uri: str,
    *,
    kind: str,
    format_: str | None,
    output: Path | None,
    statements: Path | None,
    as_of: datetime | None,
    known_at: datetime | None,
    made_at: datetime | None,
) -> int:
    """Write a document about a model version, from the log alone.

    MODEL is named as for `show`. What was not recorded is said to be not recorded, nothing is filled in; what
    people state is shown with its author and date, apart from what was observed. The log's records that are
    quoted are recomputed: exit code 1 if they are not what was sealed.

    \b
    audit          the trail from raw data to deployment, with digests and proof   html, md, json
    annex-iv       the EU AI Act's technical documentation, item by item           html, md, json
    model-card     a model card                                                    html, md, json
    cyclonedx      a CycloneDX 1.6 bill of materials (ML-BOM); cyclonedx-1.7 too   json
    spdx           an SPDX 3.0 document with the AI profile                        json
    slsa           an in-toto statement with SLSA provenance v1, unsigned          json

    \b
    modeltrail report churn@3 --output audit.html
    modeltrail report churn@3 --kind annex-iv --statements churn.toml --output annex.html
    modeltrail report churn@3 --kind cyclonedx --output churn.cdx.json
    """
    from modeltrail_collector.reports.report import report as make

    with asking(log_uri, as_of, known_at) as db:
        at = _rfc3339(made_at)
        found = make(db, model, kind=kind, format_=format_, statements=statements, made_at=at)
        if output:
            _write(output, found.text)
        else:
            click.echo(found.text, nl=False)
    for problem in found.problems:
        click.echo(f"modeltrail: {problem}", err=True)
    return 1 if found.problems else 0


def _write(output: Path, text: str) -> None:
    from modeltrail_collector.errors import ConfigError

    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}") from None


def _rfc3339(at: datetime | None) -> str:
    """This time, or now, to the second."""
    at = at.replace(tzinfo=UTC) if at else datetime.now(UTC).replace(microsecond=0)
    return at.isoformat().replace("+00:00", "Z")
