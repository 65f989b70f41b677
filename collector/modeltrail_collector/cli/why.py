"""`modeltrail why`: what changed from one model version to another, and what that likely did."""

from datetime import datetime
from pathlib import Path

import click

from modeltrail_collector.cli.asking import asking, past_options
from modeltrail_collector.cli.output import json_option, log_option, print_json


@click.command()
@click.argument("first", metavar="MODEL@A")
@click.argument("second", metavar="[MODEL@B]", required=False)
@log_option
@json_option
@past_options
@click.option(
    "--against",
    type=click.Choice(["previous", "production"]),
    default="previous",
    show_default=True,
    help="With one version: hold it against the one made before it, or the one in production at that time.",
)
@click.option(
    "--repository",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=".",
    show_default=True,
    help="A folder in the repository of the code: where it has both commits, the diff is made there.",
)
@click.option("--diff", "with_diff", is_flag=True, help="Print the whole diff of the code below the answer.")
def why(
    first: str,
    second: str | None,
    log_uri: str,
    *,
    as_json: bool,
    against: str,
    repository: Path,
    with_diff: bool,
    as_of: datetime | None,
    known_at: datetime | None,
) -> None:
    """Why a model version behaves differently from another one.

    Says which figures moved, what changed in data, transformations, parameters, code and environment, up to
    the raw feeds, and ranks the likely causes: each with what speaks for it (+), what speaks against it (-),
    and the records of the log that say so. What did not change is ruled out; what nobody recorded is named,
    since it cannot be. A distribution moved is told by PSI (0.1 moderate, 0.25 large) and KS.

    \b
    modeltrail why churn@3 churn@4
    modeltrail why churn@4
    modeltrail why churn@4 --against production --diff
    modeltrail why churn@4 --json
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli import because
    from modeltrail_collector.errors import ConfigError

    if second is not None and against != "previous":
        raise ConfigError("--against chooses the other version where only one is named: here both are")
    with asking(log_uri, as_of, known_at) as db:
        answer = answers.why(db, first, second, against=against, repository=repository)
        if as_json:
            print_json(answer)
        else:
            because.print_why(answer, with_diff=with_diff)
