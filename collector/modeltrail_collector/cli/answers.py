"""`modeltrail models`, `runs`, `show`, `trace` and `sql`: ask, print."""

import sys
from datetime import datetime
from typing import Any

import click

from modeltrail_collector.cli.asking import asking, past_options
from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows

_limit = click.option("--limit", type=click.IntRange(min=1), help="At most so many.")


@click.command()
@log_option
@json_option
@past_options
@_limit
def models(
    log_uri: str, *, as_json: bool, as_of: datetime | None, known_at: datetime | None, limit: int | None
) -> None:
    """Every model version, newest first.

    One that its registry deleted is there, and says when; it has no alias any more.

    \b
    modeltrail models --limit 20
    modeltrail models --json
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli import trail

    with asking(log_uri, as_of, known_at) as db:
        rows = answers.models(db, limit=limit)
        if as_json:
            print_json(rows)
        else:
            columns = ["model", "version", "algorithm", "created", "run", "digest", "aliases"]
            columns += ["deleted"] if any(row["deleted_at"] for row in rows) else []
            print_rows(
                [trail.model_row(row) for row in rows],
                columns,
                nothing="The log holds no model yet.",
                spare=("run", "digest", "algorithm"),
            )


@click.command()
@log_option
@json_option
@past_options
@click.option("--job", metavar="NAME", help="Only runs of this job: its name, a part of it, or its stem.")
@click.option("--state", metavar="STATE", help="Only runs in this state: START, RUNNING, COMPLETE, FAIL, …")
@click.option(
    "--parent", metavar="RUN", help="Only runs below this parent or root run; its first or last digits do."
)
@_limit
def runs(
    log_uri: str,
    *,
    as_json: bool,
    as_of: datetime | None,
    known_at: datetime | None,
    **chosen: Any,
) -> None:
    """Runs, newest first.

    A run that is not known to have ended says START or RUNNING; "never ended" where the run above it has: it
    was killed, or its producer does not end its runs (Spark's RDD jobs).

    \b
    modeltrail runs --state fail
    modeltrail runs --job train --limit 20
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli import trail

    with asking(log_uri, as_of, known_at) as db:
        rows = answers.runs(db, **chosen)
        if as_json:
            print_json(rows)
        else:
            columns = ("job", "state", "started", "took", "run", "parent", "error")
            print_rows(
                [trail.run_row(row) for row in rows],
                columns,
                nothing="No run fits.",
                shorter={"run": trail.short_run},
                spare=("parent", "took"),
            )


@click.command()
@click.argument("name", metavar="MODEL[@VERSION]|DATASET|JOB|RUN")
@log_option
@json_option
@past_options
@click.option(
    "--section",
    "sections",
    metavar="NAME",
    multiple=True,
    help="Only this section, a heading of the answer, and all of it; may be given more than once.",
)
def show(
    name: str,
    log_uri: str,
    *,
    as_json: bool,
    sections: tuple[str, ...],
    as_of: datetime | None,
    known_at: datetime | None,
) -> None:
    """What exactly produced this model version; what was said of a dataset, a job or a run.

    MODEL is a name, a unique ending of it, a path or a fingerprint; without a version the newest that
    its registry has not deleted. Its sections: model, run, data, transformations, params, code, environment,
    metrics, evaluations, artifact, registration, deployments, changes.

    DATASET is called as a model is; JOB by its name, as `modeltrail runs` has it, RUN by its id or an end of
    it. Where one name is of several, put `dataset:`, `job:` or `run:` before it. Of these every facet is
    told, whoever sent it: sql, sourceCode, tags, ownership, dataQualityAssertions, errorMessage, … Of a job
    or a dataset it is the last of each, of what its 5 latest runs say.

    \b
    modeltrail show churn@3
    modeltrail show models/churn.joblib --section data --section params
    modeltrail show train-churn --section sql
    modeltrail show data/features.parquet --json
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli import described, story

    with asking(log_uri, as_of, known_at) as db:
        answer = answers.show(db, name)
        known = described.sections(answer)
        if unknown := [section for section in sections if section not in known]:
            raise click.BadParameter(
                f"{name} has no section {unknown[0]!r}. It has: {', '.join(known)}.", param_hint="--section"
            )
        told = described.chosen(answer, sections) if sections else answer
        if as_json:
            print_json(told)
        elif "model" in answer:
            story.print_story(told, tuple(told))
        else:
            described.print_described(told, whole=bool(sections))


@click.command()
@click.argument("name", metavar="MODEL[@VERSION]|ENDPOINT|DATASET")
@log_option
@json_option
@click.option("--column", metavar="NAME", help="Only this column, back to the columns that it was made from.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "mermaid", "dot", "json"]),
    default="tree",
    show_default=True,
    help="A tree for people, a diagram in Mermaid's or Graphviz' language, or JSON (as --json).",
)
@past_options
def trace(
    name: str,
    log_uri: str,
    *,
    as_json: bool,
    column: str | None,
    form: str,
    as_of: datetime | None,
    known_at: datetime | None,
) -> None:
    """The path back to raw data, across runs.

    Of an endpoint (its name or URI): from the model versions that are in force there. A tree shows 50 inputs
    of a run, a diagram 400 arrows in all; JSON follows 100 runs back and has 50,000 things. What is left out
    is said.

    \b
    modeltrail trace churn@3
    modeltrail trace data/features.parquet --column age
    modeltrail trace churn-api --format mermaid
    modeltrail trace churn@3 --format dot | dot -Tsvg > churn.svg
    """
    from modeltrail_collector import answers
    from modeltrail_collector.answers import diagrams
    from modeltrail_collector.cli import trail

    with asking(log_uri, as_of, known_at, far_back=True) as db:
        answer = answers.trace(db, name, column=column)
        if as_json or form == "json":
            print_json(answer)
        elif form == "tree":
            trail.print_tree(answer)
        else:
            click.echo(diagrams.mermaid(answer) if form == "mermaid" else diagrams.dot(answer))


@click.command()
@click.argument("query", required=False)
@log_option
@json_option
@past_options
def sql(
    query: str | None, log_uri: str, *, as_json: bool, as_of: datetime | None, known_at: datetime | None
) -> None:
    """Ask the tables with SQL (DuckDB's): one SELECT.

    Without QUERY a prompt opens, with history and Tab; from a pipe the SELECT is read from stdin.

    Tables: events, rejected, runs, run_datasets, edges, facets, params, metrics, models, deployments,
    changes.

    \b
    modeltrail sql "SELECT state, count(*) FROM runs GROUP BY state"
    modeltrail sql "SELECT * FROM params WHERE name = 'C'" --json
    modeltrail sql
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli import prompt

    with asking(log_uri, as_of, known_at) as db:

        def ask(text: str) -> None:
            rows = answers.sql(db, text)
            if as_json:
                print_json(rows)
            else:
                print_rows(rows, tuple(rows[0]) if rows else (), nothing="No rows.")

        if query is None and sys.stdin.isatty():
            prompt.prompt(db, ask)
        else:
            ask(sys.stdin.read() if query is None else query)
