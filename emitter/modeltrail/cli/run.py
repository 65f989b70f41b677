"""`modeltrail run -- CMD`: record a program that knows nothing of modeltrail."""

import click

from modeltrail.launch import wrapper


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--name", help="Name of the job; without it that of the script or module.")
@click.option("--namespace", help="Namespace of the job; without it OPENLINEAGE_NAMESPACE.")
@click.option("--no-autolog", is_flag=True, help="Switch no integration on in the program.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...], name: str | None, namespace: str | None, *, no_autolog: bool) -> int:
    """Record the run of a program, unchanged.

    Standard streams and exit code are the program's; 128 + n if signal n killed it, 127 if there is no such
    program, 126 if it cannot be executed. Exit code 0 completes the run, another fails it; a signal
    aborts it.

    \b
    modeltrail run -- python train.py --epochs 3
    modeltrail run --name nightly -- accelerate launch train.py
    modeltrail run -- jupyter execute train.ipynb
    """
    return wrapper.launch(
        command,
        say=lambda line: click.echo(f"modeltrail: {line}", err=True),
        name=name,
        namespace=namespace,
        autolog=not no_autolog,
    )
