"""skl2onnx: which fitted model a graph of ONNX was made of, for the file that it goes to."""

import sys
from typing import Any, Final

from modeltrail.integrations import _graphs, _patch
from modeltrail.integrations._call import Call, Finish

NAME: Final = "skl2onnx"


def activate() -> None:
    """Observe conversions."""
    library = sys.modules["skl2onnx"]
    for name in ("convert_sklearn", "to_onnx"):
        _patch.wrap_function(NAME, getattr(library, name), observe_conversion)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def observe_conversion(call: Call) -> Finish:
    """Remembers what a graph was made of; a conversion may give other things along with it."""

    def finish(result: Any, error: BaseException | None) -> None:
        if error is None:
            made = result[0] if isinstance(result, tuple) else result
            _graphs.remember(made, call.arguments().get("model"))

    return finish
