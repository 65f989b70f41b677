"""safetensors: whose tensors went to a file, and which file tensors are from, with PyTorch or with numpy.

A file that another of its modules writes, that of Paddle say, is seen where it is written.
"""

import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from modeltrail.integrations import _imports, _patch
from modeltrail.integrations._frames import Function, argument, functions
from modeltrail.integrations._modulefiles import observe_load, observe_save, remember_loaded
from modeltrail.observe import paths

NAME: Final = "safetensors"


def activate() -> None:
    """Observe files; of each framework once its part of the library is imported."""
    _patch.follow_functions(NAME, [sys.modules[NAME].serialize_file], observe_save)
    for framework in ("torch", "numpy"):
        _imports.when_imported(f"{NAME}.{framework}", _observe_files)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _observe_files(part: ModuleType) -> None:
    """One function calls the other: what the outermost was given says most."""
    _patch.follow_whole_functions(NAME, functions(part, "save_file", "save_model"), observe_save)
    _patch.follow_whole_functions(NAME, functions(part, "load_file"), observe_load)
    _patch.follow_whole_functions(NAME, functions(part, "load_model"), observe_load_into)


def observe_load_into(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A module that was given what is in a file is loaded from there."""
    remember_loaded(argument(function, args, kwargs), paths.places(argument(function, args, kwargs, 1)))
