"""A seed becomes a plan: what kind of world it is, and all that happens in it, action by action.

A plan is data. Every action carries its own chance (`pick`), so that a plan can be cut and what is left still
does what it did: that is how a failure is made small.
"""

import random

import msgspec

ACTIONS = (20, 40, 40, 80, 80, 160, 320)
"""How much happens in a world: many small ones find more than few long ones, and some things take long."""


class Action(msgspec.Struct, frozen=True):
    """One thing that happens; `pick` decides to whom, and how."""

    kind: str
    pick: int


class Settings(msgspec.Struct, frozen=True):
    """What stays the same in a world from its beginning to its end."""

    partitions: int
    disk: bool
    """One machine with a disk, which can lose its power; else machines that share an object store."""
    cooperative: bool
    max_records: int
    rows: int
    bytes: int
    total_bytes: int
    age_s: float
    collectors: int
    keep_s: int | None
    """How long the log keeps records; None: for ever."""


class Plan(msgspec.Struct, frozen=True):
    """Everything that a world is made of."""

    seed: int
    settings: Settings
    actions: tuple[Action, ...]


ALWAYS = {"step": 62, "produce": 14, "tick": 9, "join": 3}
"""What happens in every world, with its weight."""

SOMETIMES = {
    "fault": 10,
    "late": 3,
    "crash": 2,
    "leave": 1.5,
    "stop": 3,
    "deaf": 2,
    "hear": 2,
    "rebalance": 2,
    "return_": 2,
    "sweep": 1,
    "hole": 3,
    "spoil": 1.5,
    "retention": 1,
    "recreate": 0.4,
    "truncate": 0.4,
    "stall": 1,
    "jump": 1.5,
    "power": 1,
    "unsynced": 3,
    "maintain": 3,
    "follow": 2,
    "steal": 2,
    "broker": 2,
}
"""What is possible in about half of the worlds each: few faults reach states that all at once hide."""


def make(seed: int, focus: frozenset[str] = frozenset()) -> Plan:
    """The plan of a seed, the same in every process and everywhere; what is in `focus` happens often."""
    chance = random.Random(seed)
    settings = Settings(
        partitions=chance.choice([1, 1, 2, 3]),
        disk=chance.random() < 0.5,
        cooperative=chance.random() < 0.5,
        max_records=chance.randint(1, 6),
        rows=chance.choice([2, 4, 8, 50]),
        bytes=chance.choice([1500, 6000, 1 << 20]),
        total_bytes=chance.choice([3000, 12_000, 1 << 20]),
        age_s=chance.choice([1.0, 4.0, 8.0]),
        collectors=chance.randint(1, 3),
        keep_s=chance.choice([None, None, 20, 7200]),
    )
    weights = dict(ALWAYS)
    for kind, weight in SOMETIMES.items():
        if chance.random() < 0.5 or kind in focus:
            weights[kind] = weight * (4.0 if kind in focus else chance.choice([0.5, 1.0, 2.0]))
    kinds = chance.choices(list(weights), list(weights.values()), k=chance.choice(ACTIONS))
    return Plan(seed, settings, tuple(Action(kind, chance.getrandbits(48)) for kind in kinds))
