"""`modeltrail alert`: what the rules find now."""

from typing import TYPE_CHECKING

import click

from modeltrail_collector.cli.asking import asking
from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows
from modeltrail_schemas.words import counted

if TYPE_CHECKING:
    from modeltrail_collector.answers.firing import Finding


@click.command()
@click.option(
    "--rules", "path", metavar="FILE", type=click.Path(), required=True, help="The rules, a TOML file."
)
@click.option("--check", is_flag=True, help="Only look whether the rules can be asked; no log is needed.")
@log_option
@json_option
@click.pass_context
def alert(ctx: click.Context, log_uri: str, path: str, *, check: bool, as_json: bool) -> None:
    """What the rules of a file find now; exit code 1 if they find anything.

    Nothing is delivered: `modeltrail compact --watch --alerts FILE` does that. A rule that finds more than
    50 things is told as one line that counts them; --json tells all.

    \b
    modeltrail alert --rules alerts.toml
    modeltrail alert --rules alerts.toml --json
    modeltrail alert --rules alerts.toml --check
    """
    from modeltrail_collector import answers
    from modeltrail_collector.answers.firing import check as check_rules
    from modeltrail_collector.answers.firing import plain, summarised
    from modeltrail_collector.answers.unheard import unheard

    rules = answers.read_rules(path)
    if check:
        check_rules(rules)
        click.echo(f"{path}: {counted(len(rules.rule), 'rule')} can be asked.", err=True)
        return
    with asking(log_uri) as db:
        found = answers.alert(db, rules)
        if as_json:
            print_json([plain(one) for one in found])
        else:
            columns = ("severity", "rule", "subject", "finding", "actual", "expected", "run", "record")
            print_rows([_row(one) for one in summarised(found)], columns, nothing="Nothing fires.")
        for said in unheard(db, rules):
            click.echo(f"modeltrail: {said}", err=True)
    if found:
        ctx.exit(1)


def _row(one: "Finding") -> dict[str, object]:
    """A finding as a line; `record` is the name of the log's record, as `modeltrail rejected show` has it."""
    told = {name: getattr(one, name) for name in one.__struct_fields__}
    record = "{topic}/{partition}/{offset}".format(**one.source) if one.source else None
    return told | {"run": one.run_id, "record": record}
