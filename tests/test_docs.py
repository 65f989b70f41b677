"""The documentation is held to the product: what can be used is described, what is described is real."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

import modeltrail
from modeltrail.options import OPTIONS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups opened."""
    for found in entry_points(group="modeltrail.commands"):
        command = found.load()
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield found.name, command
            for name, inner in command.commands.items():
                yield f"{found.name} {name}", inner
        else:
            yield found.name, command


COMMANDS = dict(commands())


def test_every_command_and_option_is_documented() -> None:
    """docs/commands.md is what the commands say of themselves now."""
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "commands.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_what_becomes_of_each_facet_is_so() -> None:
    """Each row of docs/conformance.md is what the log, the tables and the answers do to that facet now."""
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "conformance.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    """Each command's help has a sentence and an example, and each of its options a help text."""
    command = COMMANDS[name]
    assert command.help
    assert f"modeltrail {name}" in command.help, f"{name}: no example in its help"
    assert [] == [
        option.opts[0] for option in command.params if isinstance(option, click.Option) and not option.help
    ]


@pytest.mark.parametrize("name", sorted(modeltrail.__all__))
def test_every_public_name_is_documented(name: str) -> None:
    """Each name that `import modeltrail` offers is described in docs/python.md."""
    assert f"`modeltrail.{name}" in (DOCS / "python.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", sorted(name for name in vars(modeltrail.Run) if not name.startswith("_")))
def test_every_verb_of_a_run_is_documented(verb: str) -> None:
    """Each public method of a run is described in docs/python.md."""
    assert f"`run.{verb}" in (DOCS / "python.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", sorted(option.name for option in OPTIONS))
def test_every_setting_is_documented(option: str) -> None:
    """Each setting of the emitter is described in docs/configuration.md."""
    assert f"`{option}`" in (DOCS / "configuration.md").read_text(encoding="utf-8")


def test_every_name_in_the_architecture_is_real() -> None:
    """Each file, module and symbol that docs/architecture.md names in backticks exists."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)))
    assert [] == sorted(name for name in names if not is_real(name))


def is_real(name: str) -> bool:
    """A path of the repository, a module, a symbol of one, a command, or a Make target; other words pass."""
    if name.startswith("modeltrail ") and not name.startswith("modeltrail run --"):
        return any(name.removeprefix("modeltrail ").startswith(command) for command in COMMANDS)
    if name.startswith("make "):
        return (
            re.search(rf"^{name.split()[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            is not None
        )
    if "/" in name and "<" not in name and "://" not in name and " " not in name:
        return (ROOT / name).exists()
    if re.fullmatch(r"(modeltrail|modeltrail_collector|modeltrail_schemas)(\.\w+)+", name):
        return resolves(name)
    return True


def resolves(dotted: str) -> bool:
    """Whether a dotted name leads to a module or to something in one."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link in the README and the docs leads to a file that exists."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [ROOT / "README.md", *ROOT.glob("*/*.md")]
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
        if ".venv" not in page.parts and not (page.parent / target).exists()
    ]
    assert [] == broken


PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
RUN = re.compile(r"^```(console|python|sh)$", re.MULTILINE)


@pytest.mark.kafka
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if RUN.search(page.read_text())], ids=lambda page: page.name
)
def test_a_page_prints_what_it_says(kafka_bootstrap: str, page: Path) -> None:
    """Every code block of the README and the guides runs, and prints what the page shows."""
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "readme.py", "--bootstrap-servers", kafka_bootstrap, page],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
