"""The simulation finds nothing in the code as it is, something in every mutant, and replays to the byte."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modeltrail_collector.log import segment
from simulation import memory, plan
from simulation.kinds import MAKERS, kind_of, make
from simulation.mutants import MUTANTS, hunt
from simulation.runner import play_some
from simulation.shrink import failure_of, shrink
from simulation.world import World

TESTS = Path(__file__).resolve().parent.parent
WORLDS = 200
MANY = 2000


def simulation(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulation", *arguments],
        env=os.environ | {"PYTHONPATH": str(TESTS), "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_world_loses_or_doubles_a_record() -> None:
    """In 200 random worlds each record is there once, in order, and when the faults end the work is done."""
    tally = play_some(range(WORLDS))
    assert (None, "", WORLDS) == (tally.failed, tally.problem, tally.worlds)
    assert tally.stored > 0


def test_no_world_of_files_loses_or_doubles_a_line() -> None:
    """In 30 worlds of writers, crashes and a failing store each line is sealed once, in order."""
    for seed in range(30):
        world = MAKERS["files"](seed)
        world.play()
        assert world.produced == world.stored


def test_no_world_of_maintainers_loses_or_doubles_a_record() -> None:
    """In 30 worlds of maintainers that slept before a write, and of others that took over, all is read."""
    for seed in range(30):
        world = MAKERS["keepers"](seed)
        world.play()
        assert world.produced == world.stored > 0


def test_tables_are_those_of_a_quiet_compaction() -> None:
    """After compactors that died at several steps the tables are what one compaction of the log makes."""
    world = MAKERS["tables"](0)
    world.play()
    assert any("the compactor dies" in line for line in world.trace)


@pytest.mark.slow
def test_no_world_of_many_loses_or_doubles_a_record() -> None:
    """The same in 5000 worlds."""
    tally = play_some(range(WORLDS, WORLDS + 5000))
    assert (None, "") == (tally.failed, tally.problem)


def test_until_end_ends_though_an_election_cut_the_topic() -> None:
    """The end that `--until-end` goes to comes nearer when it is cut off before it was read."""
    settings = plan.make(866_241_493).settings
    actions = ("hole", 95863010019923), ("hole", 168903617203139), ("sweep", 0), ("produce", 74286637143074)
    actions += ("step", 97810147894103), ("step", 10428416866601), ("produce", 96989343262696)
    actions += (("truncate", 232732249461089),)
    World(plan.Plan(1, settings, tuple(plan.Action(*action) for action in actions))).play()


def test_a_seed_replays_exactly() -> None:
    """Two processes that hash differently play the same trace and store the same bytes for a seed."""
    seeds = [argument for seed in (3, 4, 5, 6, 7, 10, 11) for argument in ("--replay", str(seed))]
    one, other = (simulation(*seeds, hash_seed=hash_seed).stdout for hash_seed in ("1", "2"))
    assert one == other
    assert 7 == len(set(re.findall(r"trace [0-9a-f]{32}: all is well\n", one)))


def test_what_is_remembered_is_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worlds that compute everything anew play the same traces and store the same bytes."""
    found = []
    for pure in (memory.PURE, ()):
        monkeypatch.setattr(memory, "PURE", pure)
        worlds = [make(seed) for seed in (3, 4, 5, 10)]
        for world in worlds:
            world.play()
        found.append([world.digest() for world in worlds])
    assert found[0] == found[1]


def test_a_mutant_is_asked_not_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a function was exchanged its answers are not remembered, and afterwards all is as it was."""
    plain, mutant = segment.read_header, lambda *_: None
    with memory.remembering():
        assert plain is not segment.read_header
    assert plain is segment.read_header
    monkeypatch.setattr(segment, "read_header", mutant)
    with memory.remembering():
        assert mutant is segment.read_header


def test_the_last_line_says_it_all() -> None:
    """`python -m simulation` prints its seed first and its sums last."""
    result = simulation("--worlds", "30", "--seed", "11")
    lines = result.stdout.splitlines()
    assert (0, "seed 11") == (result.returncode, lines[0]), result.stderr
    assert re.fullmatch(r"produced \d+, stored \d+, lost 0, twice 0, worlds 30", lines[-1])


@pytest.mark.parametrize("name", [mutant.what for mutant in MUTANTS if not mutant.harmless])
def test_a_missing_guard_is_caught(name: str) -> None:
    """With one guard of the production code taken away, two hundred worlds are enough to notice."""
    mutant = next(found for found in MUTANTS if found.what == name)
    assert hunt(mutant, WORLDS) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutant", [found for found in MUTANTS if found.harmless], ids=lambda found: found.what
)
def test_one_guard_of_a_pair_is_enough(mutant) -> None:
    """Where two guards stand behind each other, one alone turns the slip into a retry."""
    assert hunt(mutant, MANY) is None


def test_a_failing_world_is_made_small() -> None:
    """Of a world that fails, a much shorter plan is found that breaks the same rule, and it fails again."""
    mutant = next(found for found in MUTANTS if found.what == "no put-if-absent")
    caught = hunt(mutant, WORLDS)
    with mutant.applied():
        whole = plan.make(caught.seed)
        small = shrink(whole, seconds=5)
        failure = failure_of(small)
    assert caught.oracle == failure.oracle
    assert len(small.actions) <= len(whole.actions) // 2
    assert failure_of(small) is None


def test_a_failure_is_counted_and_named() -> None:
    """A world that fails ends the run with its seed."""
    mutant = next(found for found in MUTANTS if found.what == "a gap is forgotten")
    with mutant.applied():
        tally = play_some(range(WORLDS))
    assert tally.failed is not None
    assert tally.lost > 0
    assert kind_of(tally.failed) in tally.by_kind
