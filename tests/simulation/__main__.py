"""`python -m simulation`: play worlds, replay one, or show that the simulation can fail."""

import logging
import secrets
import sys
import time

import click

from simulation import kinds, plan
from simulation.hunting import WORLDS, hunt_all, summary
from simulation.oracle import Failure
from simulation.runner import Tally, play_many
from simulation.shrink import failure_of, shrink

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType):
    """`90s`, `5m`, `1h`."""

    name = "duration"

    def convert(self, value, param, ctx) -> float:
        if isinstance(value, float):
            return value
        try:
            return float(value[:-1]) * UNITS[value[-1]]
        except (KeyError, ValueError):
            self.fail(f"{value!r} is no duration: write 90s, 5m or 1h", param, ctx)


@click.command()
@click.option("--worlds", type=int, help="Play so many worlds, however long it takes.")
@click.option("--duration", type=Duration(), default="5m", show_default=True, help="Play so long.")
@click.option("--seed", type=int, help="Begin with this world; chosen at random, and printed, without it.")
@click.option("--replay", type=int, multiple=True, metavar="SEED", help="Play a world, and print all of it.")
@click.option(
    "--mutants", is_flag=True, help="Take the guards of the code away one by one: each must be missed."
)
@click.option("--jobs", type=int, help="Processes; one for each core without it.")
def main(**options) -> None:
    """Play random worlds: collectors, a broker, a store, and everything that goes wrong.

    \b
    Examples:
      python -m simulation --duration 5m
      python -m simulation --worlds 1000 --seed 7
      python -m simulation --replay 3171
      python -m simulation --mutants
    """
    worlds, seed = options["worlds"], options["seed"]
    if options["replay"]:
        sys.exit(max([_replay(one) for one in options["replay"]]))
    if options["mutants"]:
        sys.exit(_mutants(worlds or WORLDS, seed or 0, options["jobs"]))
    seed = secrets.randbelow(10**9) if seed is None else seed
    print(f"seed {seed}", flush=True)
    began, total = time.monotonic(), Tally()
    limit = float("inf") if worlds is not None else options["duration"]
    for total in play_many(seed, worlds, limit, options["jobs"]):
        seconds = time.monotonic() - began
        print(
            f"{seconds:5.0f} s: {total.worlds} worlds, {total.worlds / seconds:.0f} a second", file=sys.stderr
        )
    for kind, (count, spent) in sorted(total.by_kind.items()):
        print(f"{kind}: {count} worlds, {count / max(spent, 1e-9):.0f} a second and core")
    if total.failed is not None:
        _explain(total.failed, total.problem)
    print(total.line())
    sys.exit(total.failed is not None)


def _explain(seed: int, problem: str) -> None:
    print(f"\nworld {seed} failed: {problem}")
    if kinds.kind_of(seed) == "collect":
        logging.disable(logging.CRITICAL)
        small = shrink(plan.make(seed))
        print(f"the smallest like it found: {small.settings}")
        print("\n".join(f"  {action.kind} {action.pick}" for action in small.actions))
        print(f"  -> {failure_of(small)}")
    print(f"play it again: python -m simulation --replay {seed}   (make sim SIM='--replay {seed}')\n")


def _replay(seed: int) -> int:
    world = kinds.make(seed)
    problem = None
    try:
        world.play()
    except Failure as failure:
        problem = failure
    print("\n".join(world.trace))
    print(f"world {seed}, trace {world.digest()}: {problem or 'all is well'}")
    return int(problem is not None)


def _mutants(worlds: int, seed: int, jobs: int | None) -> int:
    print(f"seed {seed}")
    hunts = []
    for hunt in hunt_all(worlds, seed, jobs):
        hunts.append(hunt)
        print(hunt.line(), flush=True)
    print(summary(hunts))
    return int(not all(hunt.ok for hunt in hunts))


if __name__ == "__main__":
    main()
