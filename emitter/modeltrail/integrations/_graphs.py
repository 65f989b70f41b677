"""Of which fitted model a graph of ONNX was made, whoever converted it.

A graph is known again by its digest, since protocol buffers have no weak references; what is written beside
it, a description say, makes no other model of it.
"""

import hashlib
import os
from collections.abc import Callable
from typing import Any, Final

import msgspec

from modeltrail.integrations._modulefiles import record_trained
from modeltrail.integrations._saving import record_saved
from modeltrail.observe import model
from modeltrail.observe.weakly import weak

_MAX_KNOWN: Final = 100

Values = tuple[dict[str, Any], ...]
"""Of a signature: dicts of name, type and shape, in the words of onnxruntime."""

_made: dict[str, Callable[[], Any]] = {}
"""Digest of a graph -> what it was made of, while that lives."""


def remember(proto: Any, fitted: object) -> None:
    """Keep what a graph was made of."""
    if (key := _digest(proto)) is not None:
        if len(_made) >= _MAX_KNOWN:
            _made.clear()
        _made[key] = weak(fitted)


def made_of(proto: Any) -> Any | None:
    """What a graph was made of; None where that is not known, or gone."""
    known = _made.get(_digest(proto) or "")
    return None if known is None else known()


def record(made: object | None, place: str | os.PathLike[str], inputs: Values, outputs: Values) -> None:
    """A saved graph is the model that it was made of, in another format."""
    if made is not None:
        model.saved(made, place)
    seen = msgspec.structs.replace(
        model.look(place), flavor="onnx", format="onnx", inputs=inputs, outputs=outputs
    )
    if not record_trained(made, seen):
        record_saved(made, seen, is_model=True)


def _digest(proto: Any) -> str | None:
    """None of what is no model, or one too large to look at."""
    if not hasattr(proto, "graph") or proto.ByteSize() > model.PICKLED_BYTES:
        return None
    return hashlib.sha256(proto.graph.SerializeToString(deterministic=True)).hexdigest()
