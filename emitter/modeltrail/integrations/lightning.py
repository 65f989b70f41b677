"""lightning.pytorch: what a Trainer fits, on what, how its epochs scored, and which checkpoints it left."""

import sys
from typing import Final

from modeltrail.integrations import _lightning, _patch

NAME: Final = "lightning"


def activate() -> None:
    """Observe its trainers and modules."""
    _lightning.activate(NAME, sys.modules["lightning.pytorch"])


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)
