"""What a command line is about: the name of its job, the script in it, and whether Python will find us."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

_PYTHON: Final = re.compile(r"^(?:python|pypy)[\d.]*(?:\.exe)?$")
_WITH_VALUE: Final = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_NOTEBOOK: Final = ".ipynb"
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ksh", "zsh", "fish", "make", "gmake"})
_SHELL_WITH_VALUE: Final = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file"})
_OF_NOTEBOOKS: Final = frozenset({"jupyter", "nbclient", "nbconvert", "papermill"})
"""Modules that have a notebook run, in a kernel that they start."""


class Command(msgspec.Struct, frozen=True):
    """A command line, read.

    Attributes:
        name: of the job: the script without its suffix, the module, or the program.
        script: the file, a shell's too, or the notebook that is run, if one is named.
        is_python: whether it is Python that is started, and not what may start it.
        is_shell: whether it may start several programs, each in its own right.
        blind: the option that keeps Python from importing sitecustomize, if one is given.
    """

    name: str
    script: str | None = None
    blind: str | None = None
    is_python: bool = True
    is_shell: bool = False

    @property
    def notebook(self) -> str | None:
        """The notebook that is run, if it is one."""
        return self.script if self.script and self.script.endswith(_NOTEBOOK) else None


def read(command: Sequence[str]) -> Command:
    """Read `python -u train.py --x`, `python -m churn.train`, `accelerate launch train.py`, `./train.sh`.

    And `jupyter execute train.ipynb`, with whichever program a notebook is run; `bash pipeline.sh`, `make`.
    """
    program = Path(command[0]).name
    if not _PYTHON.match(program):
        return _started_by(program, command)
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
                return _module(letters.partition("m")[2] or next(parts, ""), list(parts), blind)
            if taking == "c":
                break
    return Command(program, None, blind)


def _started_by(name: str, command: Sequence[str]) -> Command:
    """What a program that is no Python is to start: the first script or notebook that it does not write.

    Unless a shell comes first.
    """
    for number, (before, part) in enumerate(zip(["", *command], command, strict=False)):
        if Path(part).name in _SHELLS:
            return _shell(command[number:])
        if part.endswith((".py", _NOTEBOOK)) and not part.startswith("-") and before != "--output":
            return Command(Path(part).stem, part, is_python=False)
    if any(map(_is_shell_script, command[:1])):
        return Command(Path(name).stem, command[0], is_python=False, is_shell=True)
    return Command(Path(name).stem, is_python=False)


def _shell(command: Sequence[str]) -> Command:
    """`bash -eu pipeline.sh`; of `bash -c '…'` and `make` nothing says what they are about but their name."""
    name, script = Path(command[0]).name, None
    parts = iter(command[1:] if "make" not in name else ())
    for part in parts:
        if part in _SHELL_WITH_VALUE:
            next(parts, None)
        elif part[:1] not in {"-", "+"}:
            script = part
            break
        elif "c" in part and not part.startswith("--"):
            break
    return Command(Path(script or name).stem, script, is_python=False, is_shell=True)


def _is_shell_script(program: str) -> bool:
    """`./pipeline`, by its name or first line; what is installed mostly starts one program."""
    path = Path(program)
    if os.sep not in program or path.suffix == ".sh":
        return path.suffix == ".sh"
    try:
        with path.open("rb") as file:
            begun = file.readline(256)
    except OSError:
        return False
    said = begun.decode(errors="replace").removeprefix("#!").split()
    return begun.startswith(b"#!") and any(Path(word).name in _SHELLS for word in said)


def _module(name: str, arguments: Sequence[str], blind: str | None) -> Command:
    """`-m churn.train`: the file, where it lies below the working directory."""
    if name in _OF_NOTEBOOKS:
        return msgspec.structs.replace(_started_by(name, arguments), blind=blind)
    path = Path(*name.split("."))
    found = (each for each in (path.with_suffix(".py"), path / "__main__.py") if each.is_file())
    script = next(found, None)
    return Command(name, str(script) if script else None, blind)
