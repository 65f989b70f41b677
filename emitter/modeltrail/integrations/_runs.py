"""Which run a training is recorded in."""

from collections.abc import Iterator
from contextlib import contextmanager

from modeltrail import api
from modeltrail.observe import code
from modeltrail.runs import Run


def current_or_own(what: str) -> tuple[Run, Run | None]:
    """The current run; without one, one of the training's own twice: it is started, and has to be ended."""
    if (run := api.current_run()) is not None:
        return run, None
    own = api.run(f"{code.script_name()}.{what}", job_type="TRAIN")
    own.start()
    return own, own


@contextmanager
def ended_when_interrupted(own: Run | None) -> Iterator[None]:
    """What interrupts us before the host's own call (Ctrl-C) ends the run that was made for that."""
    try:
        yield
    except BaseException as error:
        if own is not None:
            own.end(error)
        raise
