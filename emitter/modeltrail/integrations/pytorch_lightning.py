"""pytorch_lightning: the same library as lightning.pytorch under its older name, with classes of its own."""

import sys
from typing import Final

from modeltrail.integrations import _lightning, _patch

NAME: Final = "pytorch_lightning"


def activate() -> None:
    """Observe its trainers and modules."""
    _lightning.activate(NAME, sys.modules["pytorch_lightning"])


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)
