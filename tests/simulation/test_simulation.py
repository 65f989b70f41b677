"""The simulation finds nothing in the code as it is, something in every mutant, and replays to the byte."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modeltrail_collector.log import avro, digest, segment
from simulation import memory, plan
from simulation.hunting import hunt
from simulation.kinds import MAKERS, kind_of, make
from simulation.mutants import MUTANTS
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


def test_a_hole_may_take_a_turn_for_each_offset() -> None:
    """Who takes over from a dead member and meets a hole, one offset a poll, gets to its end all the same."""
    World(plan.make(856_302_457)).play()


def test_a_seed_replays_exactly() -> None:
    """Two processes that hash differently play the same trace and store the same bytes for a seed."""
    seeds = [argument for seed in (3, 4, 5, 6, 7, 10, 11) for argument in ("--replay", str(seed))]
    one, other = (simulation(*seeds, hash_seed=hash_seed).stdout for hash_seed in ("1", "2"))
    assert one == other
    assert 7 == len(set(re.findall(r"trace [0-9a-f]{32}: all is well\n", one)))


def test_what_is_remembered_is_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worlds that compute and read everything anew play the same traces and store the same bytes."""
    found = []
    for forgetful in (1 << 30, 1):
        monkeypatch.setattr(memory, "FORGETFUL", forgetful)
        worlds = [make(seed) for seed in (*range(1, 30), 30)]
        for world in worlds:
            world.play()
        found.append([world.digest() for world in worlds])
    assert found[0] == found[1]


def test_what_was_written_is_remembered_as_it_is_read() -> None:
    """Of each file that a world wrote the memory has the header, the digest and the records that are read."""
    for seed in range(1, 26):
        kept = memory.Memory()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(memory, "Memory", lambda kept=kept: kept)
            make(seed).play()
        for (name, data), header in kept.headers.items():
            assert segment.read_header(name, data) == header
        assert kept.records
        for data, entries in kept.records.items():
            assert tuple(avro.entries(data)) == entries
        for data, found in kept.digests.items():
            assert digest.check(data) == found


def test_a_mutant_is_asked_not_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a function was exchanged its answers are not remembered, and afterwards all is as it was."""
    plain, mutant = segment.read_header, lambda *_: None
    with memory.memory(seed=1):
        assert plain is not segment.read_header
    assert plain is segment.read_header
    monkeypatch.setattr(segment, "read_header", mutant)
    with memory.memory(seed=1):
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


def test_a_mutant_that_survives_ends_the_hunt_with_one() -> None:
    """`--mutants` names each mutant with its worlds and its seed; one world is not enough for all."""
    result = simulation("--mutants", "--worlds", "1", "--seed", "7", "--jobs", "1")
    lines = result.stdout.splitlines()
    assert (1, "seed 7", len(MUTANTS) + 2) == (result.returncode, lines[0], len(lines)), result.stderr
    assert any(re.search(r"  found in world 1, by [a-z ]+ \(seed 7\)", line) for line in lines)
    assert any(re.search(r"  SURVIVED in 1 worlds", line) for line in lines)
    assert re.match(rf"{len(MUTANTS)} mutants: \d+ found in \d+ worlds, ", lines[-1])
    assert lines[-1].endswith("the code as it is in the same worlds: 0 found")


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
