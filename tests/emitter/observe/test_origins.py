"""What is known of where data came from: weakly, beside the objects."""

import gc
import os
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from modeltrail.observe import data, origins, paths


class Table:
    """Stands for a frame."""


def read(*places):
    table = Table()
    origins.read(table, places)
    return table


def known(thing):
    origin = origins.of(thing)
    return [source.place for source in origin.sources] if origin else None


def test_what_is_known_goes_with_its_object():
    """Nothing is kept alive, and nothing is left when an object has gone."""
    before = len(origins._known)
    tables = [read("/raw.csv") for _ in range(100)]
    gone = weakref.ref(tables[0])
    assert before + 100 == len(origins._known)
    gc.disable()
    try:
        del tables
    finally:
        gc.enable()
    assert (None, before) == (gone(), len(origins._known))


def test_another_object_in_the_same_place_is_unknown():
    """What lies where a known object lay before has no origin."""
    for _ in range(1000):
        read("/raw.csv")
        assert origins.of(Table()) is None


def test_what_is_made_of_several_came_from_all_of_them():
    """In order, each once; lists and mappings are looked into."""
    first, second, third, made = read("/a"), read("/b"), read("/a"), Table()
    origins.carry(made, first, [second, 7], {"column": third}, None, "text")
    assert ["/a", "/b"] == known(made)


def test_long_lists_of_values_are_not_looked_through():
    """A list of numbers holds no data that could be known; what a mapping holds is looked at, to a limit."""
    made, wide, source = Table(), Table(), read("/a")
    origins.carry(made, [1, source])
    origins.carry(wide, dict.fromkeys(range(origins.MAX_PARTS), 1) | {"last": source})
    assert (None, None) == (known(made), known(wide))
    origins.carry(made, {"zero": 0, "column": source})
    assert ["/a"] == known(made)


def test_what_is_unknown_makes_nothing_known():
    """Numbers, texts, and objects that nobody read."""
    made = Table()
    origins.carry(made, Table(), 1, ["x"])
    origins.carry(3, read("/a"))
    assert (None, None) == (origins.of(made), origins.of(3))


def test_several_results_each_came_from_there():
    """The frames of a workbook, the parts of a partition."""
    parts, sheets = (Table(), Table()), {"one": Table()}
    origins.carry(parts, read("/a"))
    origins.read(sheets, ["/b"])
    assert [["/a"], ["/a"], ["/b"]] == [known(each) for each in (*parts, sheets["one"])]


def test_a_choice_of_rows_is_kept_where_it_is_one():
    """It goes on with what is made of these rows alone; of several choices put together nothing is said."""
    train, test, made, both, more = read("/a"), read("/a"), Table(), Table(), Table()
    origins.choose(train, {"fraction": 0.75})
    origins.choose(test, {"fraction": 0.25})
    origins.carry(made, train)
    origins.join(both, [train, test])
    origins.join(more, [train, Table()])
    assert ({"fraction": 0.75}, None, None) == tuple(origins.of(each).split for each in (made, both, more))
    assert ["/a"] == known(both) == known(more)


def test_at_most_so_many_sources_are_kept(caplog):
    """What was put together of more says so."""
    made = Table()
    for number in range(paths.MAX_SOURCES + 1):
        origins.carry(made, read(f"/{number}"))
    assert paths.MAX_SOURCES == len(known(made))
    assert "came from 201 files" in caplog.text


def test_joins_are_known_again_and_never_mistaken():
    """Two that are joined twice have one origin; others have their own, however many came and went."""
    first, second, made, again = read("/a"), read("/b"), Table(), Table()
    origins.join(made, [first, second])
    origins.join(again, [first, second])
    assert origins.of(made) is origins.of(again)
    for number in range(2 * origins.MAX_JOINTS):
        other = Table()
        origins.join(other, [read(f"/{number}"), read("/b")])
        assert [f"/{number}", "/b"] == known(other)
    assert len(origins._joints) <= origins.MAX_JOINTS


def test_threads_remember_side_by_side():
    """Objects that come and go in many threads are known there, and leave nothing."""
    before = len(origins._known)
    wrong = []

    def work(number):
        for _ in range(2000):
            table, made = read(f"/{number}"), Table()
            origins.carry(made, table)
            if [f"/{number}"] != known(made):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([], before) == (wrong, len(origins._known))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_opened_from_memory_has_no_place():
    """A workbook of pandas is a path as long as it was read from one; else to ask it for that is an error."""

    class Opened:
        def __fspath__(self):
            return memoryview(b"")

    assert [] == paths.places(Opened())


def test_places_are_what_an_argument_means(folder):
    """A path, a pattern, a list, an open file, a URI; not what is not there, and no text that is data."""
    a, b = str(folder / "a.csv"), str(folder / "b.csv")
    with Path("a.csv").open() as file:
        assert [a] == paths.places(file)
    assert [a] == paths.places("a.csv") == paths.places(Path("a.csv")) == paths.places(f"file://{a}")
    assert [a, b] == paths.places("*.csv") == paths.places(["a.csv", Path("b.csv")])
    assert ["s3://lake/x.parquet"] == paths.places("s3://lake/x.parquet")
    assert [] == [place for each in ("no.csv", '{"a": 1}', b"a.csv", 3, None) for place in paths.places(each)]


def test_a_file_that_changed_since_has_a_name_only(folder):
    """Which content was read is not claimed of a file that was written after it was read."""
    table = Table()
    (source,) = origins.read(table, paths.places("a.csv"))
    seen = data.look(source)
    assert (str(folder / "a.csv"), 1, "observed", "full") == (
        seen.name,
        seen.rows,
        seen.capture,
        seen.fingerprint.scope,
    )
    os.utime("a.csv", (1, 1))
    seen = data.look(source)
    assert (str(folder / "a.csv"), None, "observed", "none") == (
        seen.name,
        seen.rows,
        seen.capture,
        seen.fingerprint.scope,
    )


def test_features_and_labels_are_from_where_both_are_from():
    """The table that is made of them is not the host's object, and known all the same."""
    features, labels = np.zeros((3, 2)), np.ones(3)
    origins.read(features, ["/x"])
    origins.read(labels, ["/y"])
    table, _ = data.labelled(features, labels)
    assert ["/x", "/y"] == known(table)
