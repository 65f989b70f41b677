"""A world that fails, made small: actions are cut as long as the same rule is broken."""

import time
from collections.abc import Callable

import msgspec

from simulation.oracle import Failure
from simulation.plan import Action, Plan
from simulation.world import World

Actions = tuple[Action, ...]


def failure_of(plan: Plan) -> Failure | None:
    """What is wrong in a world; None where all is well."""
    try:
        World(plan).play()
    except Failure as failure:
        return failure
    return None


def shrink(plan: Plan, seconds: float = 30.0) -> Plan:
    """The smallest plan found in so much time that breaks the same rule (ddmin: cut halves, quarters, …)."""
    first = failure_of(plan)
    assert first is not None, "there is nothing to shrink: this world is well"

    def still_fails(actions: Actions) -> bool:
        found = failure_of(msgspec.structs.replace(plan, actions=actions))
        return found is not None and found.oracle == first.oracle

    actions, deadline = plan.actions, time.monotonic() + seconds
    size = len(actions) // 2
    while size and time.monotonic() < deadline:
        smaller = _cut(actions, size, still_fails, deadline)
        size = size // 2 if len(smaller) == len(actions) else min(size, len(smaller))
        actions = smaller
    return msgspec.structs.replace(plan, actions=actions)


def _cut(actions: Actions, size: int, still_fails: Callable[[Actions], bool], deadline: float) -> Actions:
    """Without every run of so many actions that the failure does not need."""
    at = 0
    while at < len(actions) and time.monotonic() < deadline:
        rest = actions[:at] + actions[at + size :]
        if still_fails(rest):
            actions = rest
        else:
            at += size
    return actions
