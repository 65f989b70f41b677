"""The console script `modeltrail`: its commands are entry points; only the one that is called is loaded."""

import signal
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn

import click

from modeltrail_schemas.printable import printable_lines

GROUP = "modeltrail.commands"
INTERNAL_ERROR = 70
INTERRUPTED = 130


class Commands(click.Group):
    """A group whose commands are entry points, so that the emitter never imports the collector."""

    def _entry_points(self) -> dict[str, EntryPoint]:
        return {found.name: found for found in entry_points(group=GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All installed command names, sorted."""
        return sorted(self._entry_points())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load one command; a missing extra becomes one line with the pip command and exit code 2."""
        found = self._entry_points().get(cmd_name)
        if found is None:
            return None
        try:
            loaded: Any = found.load()
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("modeltrail"):
                raise  # a broken installation, not a missing extra
            raise MissingExtra(cmd_name, error.name) from error
        assert isinstance(loaded, click.Command)  # noqa: S101
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the nearest names when the command is unknown."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=3)
            if not near:
                raise
            hint = f"{error.message} Did you mean {' or '.join(near)}?"
            raise click.UsageError(hint, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; one whose extra is missing is listed too, with what it needs."""
        rows = []
        for name in self.list_commands(ctx):
            try:
                command = self.get_command(ctx, name)
            except click.ClickException as error:
                rows.append((name, error.message))
            else:
                rows.append((name, command.get_short_help_str(90) if command else ""))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class MissingExtra(click.ClickException):
    """A command whose extra is not installed."""

    exit_code = 2

    def __init__(self, command: str, package: str | None) -> None:
        extra = command if command in {"demo", "report", "serve"} else "collector"
        super().__init__(
            f"`modeltrail {command}` needs the package {package!r}, which is not installed: "
            f"pip install 'modeltrail[{extra}]'"
        )


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="modeltrail")
def cli() -> None:
    """Know where every model came from, and prove it.

    \b
    modeltrail demo                       train three model versions and look at their trail
    modeltrail run -- python train.py     record a training run
    modeltrail show churn@3               what exactly produced this version
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code.

    Exit codes: 0 yes, 1 the answer is no, 2 usage, 4 upstream unreachable, 70 our bug, 130 Ctrl-C.
    """
    sys.exit(_exit_code(args))


def _exit_code(args: Sequence[str] | None) -> int:
    try:
        result = cli.main(args=args, prog_name="modeltrail", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException as error:
        error.message = printable_lines(error.message)  # type: ignore[misc]  # it may quote names
        error.show()
        return error.exit_code
    except BrokenPipeError:
        _silence_stdout()
        return 128 + signal.SIGPIPE
    except Exception as error:
        return _report(error)
    return result if isinstance(result, int) else 0


def _report(error: Exception) -> int:
    """One line for what we foresaw; a traceback and a request for an issue for what we did not."""
    code = getattr(error, "exit_code", None)
    if isinstance(code, int) and code != INTERNAL_ERROR:
        click.echo(f"modeltrail: {printable_lines(str(error))}", err=True)
        return code
    import traceback

    traceback.print_exception(error)
    click.echo("modeltrail: this is a bug in modeltrail. Please report it with the lines above.", err=True)
    return INTERNAL_ERROR


def _silence_stdout() -> None:
    """A reader that left early (`| head`) is no error: keep the interpreter from complaining at its exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
