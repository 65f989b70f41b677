"""How far a program is with its loaders, and which of them give to the same steps."""

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from modeltrail.observe import loaders
from modeltrail.observe.weakly import Weakly, weak

_BATCHES: Final = ("batch_size", "drop_last")
_ORDER: Final = ("shuffle", "seed", "drop_last", "replacement", "num_samples")
"""What a sampler says of the order of its rows; of one that `shuffle` made that says it all."""
Settings = tuple[tuple[type, dict[str, Any]], ...]
"""Classes, and what of each was set."""


class Pass(msgspec.Struct, eq=False):
    """One pass through a loader.

    Attributes:
        data: what is gone through, if it still lives.
        length: the number of its batches; None where it has none.
        how: of the loader, and of its sampler: how it makes batches, and of which rows.
        iterator: what goes through, if it still lives.
        batches: how many were taken.
        began: when.
        at_step: how many steps the thread had made when one was taken last.
        first_step: the same of the first one.
        beside: what else is gone through for the same steps: of `zip(loader, other)` the other.
    """

    data: Callable[[], Any]
    length: int | None
    how: Settings
    iterator: Callable[[], Any]
    batches: int = 0
    began: float = msgspec.field(default_factory=time.perf_counter)
    at_step: int = -1
    first_step: int = -1
    beside: "tuple[Pass, ...]" = ()

    @property
    def is_whole(self) -> bool:
        """Whether it came to the end of the loader."""
        return self.batches == self.length

    def is_idle(self, steps: int) -> bool:
        """Whether it came to the end of the loader, and no step was made since it began."""
        return self.is_whole and self.first_step == steps

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
        data = weak(loader if hasattr(getattr(by, "sampler", by), "indices") else loader.dataset)
        seen = data if data() is not None else weak(loader)
        return cls(seen, length, settings(loader), weak(iterator))


def settings(loader: Any) -> Settings:
    """How a loader makes batches, and what a sampler that somebody gave it says of the order of rows."""
    by = loaders.batches(loader)
    sampler = getattr(by, "sampler", by)
    how = {name: getattr(by, name) for name in _BATCHES if hasattr(by, name)}
    how["num_workers"] = loader.num_workers
    kinds = {each.__name__ for each in type(sampler).__mro__}
    if "_InfiniteConstantSampler" in kinds:  # of a stream, which has no order to choose
        return ((type(loader), how),)
    how["sampler"] = type(sampler).__name__
    if sampler is by:
        return ((type(loader), how),)
    if kinds & {"RandomSampler", "SequentialSampler"}:
        return ((type(loader), {**how, "shuffle": "RandomSampler" in kinds}),)
    order = {name: getattr(sampler, name, None) for name in _ORDER}
    said = {name: value for name, value in order.items() if isinstance(value, bool | int)}
    return ((type(loader), how), (type(sampler), said))


_met: "Weakly[Weakly[Pass | bool]]" = Weakly()
"""Data -> what came beside it: the pass that this was seen in once, or that it does."""
