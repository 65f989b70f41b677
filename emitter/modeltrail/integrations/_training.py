"""A training loop of PyTorch, as its own hooks show it: which model learned from what, how long, how well.

Nothing is told while it goes on but once a pass, and nothing at all outside of a run until the model is
saved. What is kept here are numbers and what was seen of data; models, optimizers and loaders are not kept
alive.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from modeltrail import api
from modeltrail.event import Dataset
from modeltrail.guard import guarded, is_kept
from modeltrail.integrations import _around, _calls, _optimizers
from modeltrail.integrations import _modules as modules
from modeltrail.integrations import _states as states
from modeltrail.integrations._passes import Pass
from modeltrail.integrations._runs import Params, by_origin
from modeltrail.integrations._saving import MODEL
from modeltrail.integrations._sources import Source, is_same, record, see
from modeltrail.observe import model as observed
from modeltrail.observe.weakly import Weakly, weak
from modeltrail.runs import Run
from modeltrail.runs.arguments import Role
from modeltrail.runs.fits import Fit
from modeltrail.runs.models import Model

_SEEDED: Final = 1 << 32
"""What nobody seeded has a seed of 53 bits from the system."""


class _Use(msgspec.Struct, eq=False):
    """Data, what for, and as what it was told to which run."""

    source: Source
    role: Role
    told: tuple[str, Role] | None = None


class _Now(msgspec.Struct, eq=False):
    """What a thread is at: its last batch, the loss it goes back from, what it trained last and by what."""

    thread: int = msgspec.field(default_factory=threading.get_ident)
    batch: Pass | None = None
    loss: Any = None
    training: "Training | None" = None
    optimizer: Callable[[], Any] = lambda: None
    parts: int = 0
    several: "tuple[Training, Any] | None" = None
    steps: int = 0

    def turn(self, at: Pass) -> None:
        """A batch of another pass was taken: of the next one, or of one that goes beside, by `zip` say.

        The first of those that a step learns from is what it is counted by.
        """
        before = self.batch
        self.pass_judgement()
        if before is None or before.at_step != self.steps or not before.leads(at):
            self.batch = at

    def pass_judgement(self) -> None:
        """What was gone through without a step, or a loss to go back from, is judged by."""
        at, training = self.batch, self.training
        if at is not None and training is not None and self.loss is None and at.is_idle(self.steps):
            training.judge(at)

    def stepped(self, training: "Training", loss: Any) -> None:
        """Of losses that all went back before several models made a step nobody knows whose each is."""
        if loss is not None:
            self.several = (training, loss) if self.parts > 1 else None
            self.parts = 0
        elif self.several is not None and self.several[0] is not training:
            self.several[0].count(self.several[1], -1)
            self.several = None


class _Own(threading.local):
    def __init__(self) -> None:
        self.now = _Now()


_own: Final = _Own()
_at_hand: ContextVar[_Now | None] = ContextVar("modeltrail_training", default=None)


def now() -> _Now:
    """What this thread is at; each step asks, and a `threading.local` takes 2 µs more to look for it."""
    found = _at_hand.get()
    if found is None or found.thread != threading.get_ident():  # the context may be another thread's
        found = _own.now
        _at_hand.set(found)
    return found


_trainings: WeakKeyDictionary[Any, "Training | None"] = WeakKeyDictionary()
"""Optimizer -> the training that it is of; None where another process tells."""
by_model: "Weakly[Training]" = Weakly()
"""Module -> its last training, also when the optimizer is gone."""
loaded: "Weakly[str | Model]" = Weakly()
"""Module -> the file or model that it was loaded from."""


class Training(msgspec.Struct, eq=False):
    """What was seen of how one model was trained, within one run or outside of any."""

    model: Callable[[], Any]
    run: Run | None
    facts: dict[str, Any]
    params: list[Params]
    steps: int = 0
    epochs: int = 0
    began: float = msgspec.field(default_factory=time.perf_counter)
    ended: float = 0.0
    losses: list[tuple[int, float]] = msgspec.field(default_factory=list)
    uses: list[_Use] = msgspec.field(default_factory=list)
    _known: "Weakly[_Use]" = msgspec.field(default_factory=Weakly)
    judged: list[Pass] = msgspec.field(default_factory=list)
    is_saved: bool = False
    marking: float = 0.0
    given_back: tuple[int, int | None] | None = None
    bases: list[Dataset] = msgspec.field(default_factory=list)
    at: Pass | None = None
    beside: tuple[Pass, ...] = ()
    _sum: Any = 0.0
    _count: int = 0
    _told: int = 0
    _told_to: Callable[[], Run | None] = lambda: None
    _fit: Fit | None = None

    def step(self, loss: Any) -> None:
        """The optimizer has made a step."""
        self.steps += 1
        self.ended = time.perf_counter()
        if loss is not None:
            self.count(loss, 1)

    def count(self, loss: Any, times: int) -> None:
        """Count a loss, or no more (-1)."""
        self._sum = self._sum + times * loss
        self._count += times

    def catch_up(self, at: Pass | None) -> None:
        """Do what is to be done before a step after this batch is counted."""
        if at is not self.at:
            self._turn(at)
        if at is not None and at.beside is not self.beside:
            self.beside = at.beside
            for each in at.beside:
                self.look(each, "train")
            if self.run is not None:
                self.tell(self.run)
        while self.judged:
            self.look(self.judged.pop(), "validation")
        if self.is_saved and self.run is not None:
            self.is_saved = False
            for part in states.whole_parts(self.model()):
                self.run.learns(part)

    def judge(self, at: Pass) -> None:
        """A loader is gone through without learning: what for turns out later."""
        if not any(each.data() is at.data() for each in self.judged):
            self.judged.append(at)

    def look(self, at: Pass, role: Role) -> None:
        """Look at what a loader goes through, once; the content that it learns from is no validation."""
        data = at.data()
        known = self._known.of(data)
        if known is None and data is not None:
            known = _Use(see(data), role)
            if role == "train":
                self.params += [each for settings in at.how for each in by_origin(*settings)]
            elif any(is_same(known.source, use.source) for use in self.uses if use.role == "train"):
                known.role = "train"
            self._known.remember(data, known)
            self.uses.append(known)
        elif known is not None and "train" in {role, known.role}:
            known.role = "train"

    def _turn(self, at: Pass | None) -> None:
        """A pass began: the one before is over, unless it goes on beside this one."""
        if at is None or all(each is not self.at for each in at.beside):
            self.close(again=at is not None and self.at is not None and at.data() is self.at.data())
        self.at = at
        if at is not None:
            self.look(at, "train")
        if self.run is not None:
            self.tell(self.run)

    def close(self, *, again: bool = False) -> None:
        """Count the pass if it went through the whole loader.

        Args:
            again: that the loader was begun anew: of one without a length nothing else says so.
        """
        at, self.at = self.at, None
        if at is None:
            return
        if any(each.is_whole for each in (at, *at.beside)) or (at.length is None and again):
            self.epochs += 1
            if self._count:
                self.losses.append((self.steps, float(self._sum) / self._count))
        self._sum, self._count = 0.0, 0

    def close_whole(self) -> None:
        """Count the pass if all batches were taken; else it goes on."""
        if self.at is not None and self.at.is_whole:
            self.close()

    def tell(self, run: Run) -> None:
        """Tell a run what is known by now."""
        fit = self.fit(run)
        for component, values, origin in self.params:
            run.params(values, origin=origin, component=component, of=fit)
        wall = round(1e3 * (self.ended - self.began)) if self.ended else None
        run.training(**self.facts, steps=self.steps, epochs=self.epochs or None, wall_time_ms=wall, of=fit)
        for use in self.uses:
            if use.told != (run.run_id, use.role):
                use.told = (run.run_id, use.role)
                record(run, use.source, use.role, fit)
        for epoch in range(self._told, len(self.losses)):
            step, loss = self.losses[epoch]
            run.metric("loss", loss, step, epoch=epoch, split="train", of=fit)
        self._told = len(self.losses)

    def give_back(self, step: int | None) -> None:
        """Its model was given a state that it had after this step, if that is known."""
        self.given_back = self.steps, step

    @property
    def at_step(self) -> int | None:
        """After which step its model was as it is now."""
        steps, step = self.given_back or (None, None)
        return step if steps == self.steps else self.steps

    def fit(self, run: Run) -> Fit:
        """What it is to a run, whichever of its checkpoints is saved."""
        if self._fit is None or self._told_to() is not run:
            model = self.model()
            self._told_to, self._told = weak(run), 0
            self._fit = run.facts.fits.begin(self.kind, model)
            for base in self.bases:
                run.input(base, role="train", of=self._fit)
        return self._fit

    @property
    def kind(self) -> str:
        """The class of the module, also when that is gone."""
        several = str(self.facts.get("algorithm", "training")).split(" + ")
        return "+".join(each.rpartition(".")[2] for each in several)

    def is_told_to(self, run: Run) -> bool:
        """Whether it is one of this run's."""
        return self._told_to() is run or self.run is run

    def end(self) -> None:
        """Tell the rest before the run ends."""
        self.close()
        now().pass_judgement()
        while self.judged:
            self.look(self.judged.pop(), "inference")
        if self.run is not None:
            self.tell(self.run)


# --- what the hooks call ------------------------------------------------------------


def on_step(optimizer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """An optimizer has made a step; of one that evaluates the loss several times none is the loss."""
    at = now()
    loss, at.loss = at.loss, None
    at.steps += 1
    if _calls.is_observing():
        return
    training = at.training
    if (
        training is None
        or training.at is not at.batch
        or at.batch is None
        or training.beside is not at.batch.beside
        or at.optimizer() is not optimizer
        or training.judged
        or training.is_saved
    ):
        training = None
        with guarded("observing a step"):
            training = stepped(optimizer, at)
    try:
        if training is not None:
            training.step(None if args[1:] or kwargs.get("closure") else loss)
            at.stepped(training, loss)
    except Exception as error:
        if not is_kept("observing a step", error):
            raise


vars(on_step)["_torchdynamo_disable"] = True
"""`torch.compile` leaves it as it is; what the public decorator sets, without importing a compiler."""


def stepped(optimizer: Any, at: _Now) -> Training | None:
    """What an optimizer trains, after all that is to be done before a step of it is counted."""
    training = at.training = _training_of(optimizer, at.batch)
    at.optimizer = weak(optimizer)
    if training is not None:
        training.catch_up(at.batch)
    return training


def _training_of(optimizer: Any, at: Pass | None) -> Training | None:
    """What an optimizer trains in the current run; at the pass that it learns from it is in the same run."""
    training = _trainings.get(optimizer, ...)
    if not isinstance(training, Training) or at is None or training.at is not at:
        run = api.current_run()
        if training is ... or (training is not None and training.run is not run):
            training = _trainings[optimizer] = _begin(optimizer, run)
    return training


def judged(at: Pass) -> None:
    """A loader is gone through without gradients: if the training goes on after it, that was validation."""
    if (training := now().training) is not None:
        training.judge(at)


def _begin(optimizer: Any, run: Run | None) -> Training | None:
    if modules.follows():
        return None
    model = modules.owner(optimizer)
    known = by_model.of(model)
    if known is not None and known.run is run:
        known.params += _optimizers.params(optimizer)
        return known
    training = Training(weak(model), run, facts(model), _optimizers.params(optimizer))
    states.begun(model)
    batch = now().batch
    training.began = batch.began if batch is not None else training.began
    by_model.remember(model, training)
    places = [found for part in modules.parts(model) if (found := loaded.of(part)) is not None]
    for place in dict.fromkeys(places):
        base = place if isinstance(place, Model) else Model(observed.look(place))
        training.bases.append(Dataset(*base.identity, {"datasetType": MODEL}))
        training.facts["base_model"] = base.reference()
    if run is not None:
        run.learns(model)
        run.when_ending(training.end)
    return training


# --- what is told ------------------------------------------------------------


def facts(model: Any) -> dict[str, Any]:
    """How a model is trained, as attributes of the facet: class, seeds, processes."""
    torch: Any = sys.modules["torch"]
    seed = torch.initial_seed()
    found: dict[str, Any] = {
        "framework": "torch",
        "framework_version": torch.__version__,
        "algorithm": modules.algorithm(model),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "seeds": {**_around.seeds(), **({"framework": seed} if 0 <= seed < _SEEDED else {})} or None,
        "distributed": modules.distributed(),
    }
    return {name: value for name, value in found.items() if value is not None}
