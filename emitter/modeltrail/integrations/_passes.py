"""How far a program is with its loaders, and which of them give to the same steps."""

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from modeltrail.observe import loaders
from modeltrail.observe.weakly import Weakly, weak

_BATCHES: Final = ("batch_size", "drop_last")


class Pass(msgspec.Struct, eq=False):
    """One pass through a loader.

    Attributes:
        data: what is gone through, if it still lives.
        length: the number of its batches; None where it has none.
        how: the class of the loader, and how it makes batches.
        iterator: what goes through, if it still lives.
        batches: how many were taken.
        began: when.
        at_step: how many steps the thread had made when one was taken last.
        beside: what else is gone through for the same steps: of `zip(loader, other)` the other.
    """

    data: Callable[[], Any]
    length: int | None
    how: tuple[type, dict[str, Any]]
    iterator: Callable[[], Any]
    batches: int = 0
    began: float = msgspec.field(default_factory=time.perf_counter)
    at_step: int = -1
    beside: "tuple[Pass, ...]" = ()

    @property
    def is_whole(self) -> bool:
        """Whether it came to the end of the loader."""
        return self.batches == self.length

    def leads(self, other: "Pass") -> bool:
        """Whether another pass comes between this one and its step, and not for the first time.

        It is no evaluation with gradients then: that comes once, when this one is over.
        """
        if other in self.beside:  # at each step from then on
            return True
        data, others = self.data(), other.data()
        if (met := _met.of(data)) is None:
            met = Weakly()
            _met.remember(data, met)
        known = met.of(others)
        if data is others or (known is not self and known is not True):
            met.remember(others, self)
            return False
        met.remember(others, True)  # it may have been begun anew
        self.beside = (*(each for each in self.beside if each.data() is not others), other)
        return True

    @classmethod
    def through(cls, loader: Any, iterator: Any) -> "Pass":
        """A pass that begins; a loader may be made anew for each, so that its dataset is what is known."""
        try:
            length = len(loader)
        except TypeError:  # of a stream
            length = None
        by = loaders.batches(loader)
        sampler = getattr(by, "sampler", by)
        data = weak(loader if hasattr(sampler, "indices") else loader.dataset)
        how = {name: getattr(by, name) for name in _BATCHES if hasattr(by, name)}
        how |= {"num_workers": loader.num_workers, "sampler": type(sampler).__name__}
        if sampler is not by:
            how["shuffle"] = any(each.__name__ == "RandomSampler" for each in type(sampler).__mro__)
        seen = data if data() is not None else weak(loader)
        return cls(seen, length, (type(loader), how), weak(iterator))


_met: "Weakly[Weakly[Pass | bool]]" = Weakly()
"""Data -> what came beside it: the pass that this was seen in once, or that it does."""
