"""What a command line is about: the name of its job, the script in it, and whether Python will find us."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

_PYTHON: Final = re.compile(r"^(?:python|pypy)[\d.]*(?:\.exe)?$")
_WITH_VALUE: Final = frozenset({"-W", "-X", "--check-hash-based-pycs"})


@attrs.frozen
class Command:
    """A command line, read.

    Attributes:
        name: of the job: the script without its suffix, the module, or the program.
        script: the Python file that is run, if one is named.
        is_python: whether it is Python that is started, and not what may start it.
        blind: the option that keeps Python from importing sitecustomize, if one is given.
    """

    name: str
    script: str | None = None
    blind: str | None = None
    is_python: bool = True


def read(command: Sequence[str]) -> Command:
    """Read `python -u train.py --x`, `python -m churn.train`, `accelerate launch train.py`, `./train.sh`."""
    program = Path(command[0]).name
    if not _PYTHON.match(program):
        script = next((part for part in command if part.endswith(".py")), None)
        return Command(Path(script or program).stem, script, is_python=False)
    blind = None
    parts = iter(command[1:])
    for part in parts:
        if part in _WITH_VALUE:
            next(parts, None)
        elif part.startswith("--") or not part.startswith("-"):
            if not part.startswith("--"):
                return Command(Path(part).stem, part, blind)
        elif part == "-":
            break
        else:
            letters = part[1:]
            blind = blind or next((f"-{letter}" for letter in letters if letter in "ISE"), None)
            taking = next((letter for letter in letters if letter in "cmWX"), None)
            if taking == "m":
                return _module(letters.partition("m")[2] or next(parts, ""), blind)
            if taking == "c":
                break
    return Command(program, None, blind)


def _module(name: str, blind: str | None) -> Command:
    """`-m churn.train`: the file, where it lies below the working directory."""
    path = Path(*name.split("."))
    found = (each for each in (path.with_suffix(".py"), path / "__main__.py") if each.is_file())
    script = next(found, None)
    return Command(name, str(script) if script else None, blind)
