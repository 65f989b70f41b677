"""What people read of an impact: each run's products stand once, below what that run read."""

from datetime import timedelta

from click.testing import CliRunner

from modeltrail_collector.cli.impact import impact as command


def ran(make, *runs):
    """Runs one after another: (job, inputs, outputs) of each."""
    return [
        make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", job, inputs=read, outputs=wrote
        )
        for n, (job, read, wrote) in enumerate(runs)
    ]


def tree(log, asked: str) -> list[str]:
    """The lines below the counts, without when."""
    told = CliRunner().invoke(command, [asked, "--log", log.uri], catch_exceptions=False).output
    return [line.partition(" since")[0] for line in told.splitlines()[1:]]


def wrote(make, name: str, content: str):
    """An output with its version."""
    return make.dataset(name, version=make.facet("version", datasetVersion=make.digest(content)))


def test_each_version_stands_below_the_data_that_its_run_read(make, log_of) -> None:
    """What another run of a job made is told too: of two trainings on two days only the first model was."""
    days = [
        run
        for day in "12"
        for run in (
            ("features", [make.dataset("raw.csv")], [make.dataset(f"features/{day}.parquet")]),
            ("train", [make.dataset(f"features/{day}.parquet")], [make.dataset(f"m{day}.joblib")]),
            ("score", [make.dataset(f"m{day}.joblib")], [make.dataset(f"scores/{day}.csv")]),
        )
    ]
    assert [
        "└─ features  2 runs", "   ├─ features/1.parquet", "   │  └─ train  1 run", "   │     └─ m1.joblib",
        "   │        └─ score  1 run", "   │           └─ scores/1.csv",
        "   └─ features/2.parquet", "      └─ train  1 run", "         └─ m2.joblib",
        "            └─ score  1 run", "               └─ scores/2.csv",
    ] == tree(log_of(ran(make, *days)), "raw.csv")  # fmt: skip


def test_who_reads_one_content_stands_below_the_run_that_wrote_that(make, log_of) -> None:
    """Of a file of one name that two jobs wrote each reader is told below the one whose content it read."""
    runs = [(job, [make.dataset("raw.csv")], [wrote(make, "t.csv", job)]) for job in ("first", "second")]
    runs += [(f"of {job}", [wrote(make, "t.csv", job)], []) for job in ("first", "second")]
    assert [
        "├─ first  1 run", "│  └─ t.csv", "│     └─ of first  1 run",
        "└─ second  1 run", "   └─ t.csv", "      └─ of second  1 run",
    ] == tree(log_of(ran(make, *runs)), "raw.csv")  # fmt: skip


def test_what_a_run_wrote_and_read_again_was_not_written_over(make, log_of) -> None:
    """It held nothing before that came of the data, although the run names it as an input as well."""
    table = wrote(make, "t.csv", "t")
    runs = [("prepare", [make.dataset("raw.csv"), table], [table, make.dataset("u.csv")])]
    told = tree(log_of(ran(make, *runs)), "raw.csv")
    assert "   ├─ t.csv" in told


def test_runs_of_a_job_that_read_what_the_last_one_made_are_one_line(make, log_of) -> None:
    """A table that is carried on from day to day is no tree as deep as there were days."""
    runs = [("carry", [make.dataset(f"day/{n}.csv")], [make.dataset(f"day/{n + 1}.csv")]) for n in range(5)]
    told = tree(log_of(ran(make, *runs)), "day/0.csv")
    assert ["└─ carry  5 runs", *(f"   ├─ day/{n}.csv" for n in range(1, 5)), "   └─ day/5.csv"] == told


def test_two_jobs_in_turn_are_told_however_often_they_took_turns(make, log_of) -> None:
    """A job below itself is told for itself, so that no tree gets deeper than there are jobs."""
    runs = [
        (("even", "odd")[n % 2], [make.dataset(f"day/{n}.csv")], [make.dataset(f"day/{n + 1}.csv")])
        for n in range(120)
    ]
    told = tree(log_of(ran(make, *runs)), "day/0.csv")
    assert 120 == sum("─ day/" in line for line in told)
    assert ["            └─ even  1 run", "day/2.csv", "└─ even  1 run"] == told[4:7]
    assert all(line.index("─") <= 13 for line in told if "─" in line)
