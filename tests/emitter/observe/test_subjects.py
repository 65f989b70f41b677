"""The persons in a dataset are the same whatever library or file holds them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from modeltrail.event import Dataset
from modeltrail.observe import frames
from modeltrail.observe import subjects as observed
from modeltrail.observe.subjects import NotIndexed, pseudonyms
from modeltrail_schemas import subjects

KEY = bytes(range(64))
IDS = [7, 12, 7, 4711, 12, 9]
PERSONS = {subjects.pseudonym(KEY, str(each)) for each in IDS}


def tables(tmp_path: Path) -> dict[str, Any]:
    """The same ids in every container: as integers, with holes as floats, as text, as categories."""
    frame = pd.DataFrame({"spend": 1.5, "id": IDS})
    holes = pd.DataFrame({"id": [*IDS, None]})
    texts = frame.assign(id=frame["id"].astype(str))
    (tmp_path / "parts").mkdir()
    for name, table in {"whole": frame, "holes": holes, "texts": texts}.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        table.to_parquet(tmp_path / f"{name}.parquet", index=False)
    for number in range(3):
        part = frame.iloc[2 * number : 2 * number + 2]
        part.to_parquet(tmp_path / "parts" / f"{number}.parquet", index=False)
    (tmp_path / "quoted.tsv").write_text(
        "id\tname\n" + "".join(f'"{each:05}"\t"a\tb"\n' for each in IDS), encoding="utf-8-sig"
    )
    structured = np.zeros(len(IDS), dtype=[("id", "i4"), ("x", "f8")])
    structured["id"] = IDS
    arrow = pa.table({"id": pa.chunked_array([IDS[:2], IDS[2:]])})
    return {
        "pandas": frame,
        "pandas floats": holes,
        "pandas Int64": holes.astype("Int64"),
        "pandas text": texts,
        "pandas category": texts.astype("category"),
        "pandas arrow": frame.convert_dtypes(dtype_backend="pyarrow"),
        "pandas index": frame.set_index("id"),
        "polars": pl.DataFrame({"id": IDS}),
        "polars floats": pl.DataFrame({"id": [*map(float, IDS), None, float("nan")]}),
        "polars text": pl.DataFrame({"id": list(map(str, IDS))}),
        "polars category": pl.DataFrame({"id": pl.Series(list(map(str, IDS)), dtype=pl.Categorical)}),
        "arrow": arrow,
        "arrow batch": arrow.combine_chunks().to_batches()[0],
        "arrow dictionary": pa.table({"id": pa.array(list(map(str, IDS))).dictionary_encode()}),
        "arrow decimal": pa.table({"id": arrow["id"].cast(pa.decimal128(22, 2))}),
        "arrow bytes": pa.table({"id": [str(each).encode() for each in IDS]}),
        "numpy structured": structured,
        "several": [frame.iloc[:3], arrow.slice(3)],
        "dataset": Dataset("file", str(tmp_path / "whole.csv")),
        "parts": tmp_path / "parts",
        **{file.name: file for file in tmp_path.iterdir() if file.is_file()},
        "text of a path": str(tmp_path / "holes.parquet"),
    }


def test_every_container_has_the_same_persons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pandas, polars, pyarrow, numpy, CSV and Parquet, whichever type the column took, in blocks or whole."""
    found = tables(tmp_path)
    assert len(found) > 25
    for size in (frames.BLOCK_CELLS, 2):
        monkeypatch.setattr(frames, "BLOCK_CELLS", size)
        monkeypatch.setattr(observed, "BLOCK_CELLS", size)
        assert dict.fromkeys(found, PERSONS) == {
            name: pseudonyms(data, "id", KEY) for name, data in found.items()
        }


def test_a_column_of_an_array_is_named_by_its_number() -> None:
    """As in the fingerprint's columns: the second of a plain array is 1."""
    assert PERSONS == pseudonyms(np.array([[0, each] for each in IDS]), "1", KEY)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    """No such column, no such file, no table, a table that is only planned, a place elsewhere."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "a.parquet").write_text("no Parquet")
    odd = [pd.DataFrame({"x": IDS}), pl.DataFrame({"x": IDS}).lazy(), object(), np.array(IDS), [1, 2], 7]
    odd += [tmp_path / "a.csv", tmp_path / "none.csv", "s3://bucket/a.parquet", Dataset("s3://b", "a")]
    for data in odd:
        with pytest.raises(NotIndexed, match="'id'"):
            pseudonyms(data, "id", KEY)
    with pytest.raises(pa.ArrowInvalid):
        pseudonyms(tmp_path / "a.parquet", "id", KEY)


def test_too_many_persons_are_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beyond the limit reading ends with the block that passed it, and so it does when time is up."""
    monkeypatch.setattr(observed, "BLOCK_CELLS", 4)
    monkeypatch.setattr(subjects, "MAX_SUBJECTS", 10)
    assert len(pseudonyms(pd.DataFrame({"id": range(10)}), "id", KEY)) == 10
    taken = []

    class Ids(list):
        def __iter__(self) -> Any:
            for each in range(100):
                taken.append(each)
                yield pd.DataFrame({"id": [each]})

    with pytest.raises(NotIndexed, match="more than 10"):
        pseudonyms(Ids([1]), "id", KEY)
    assert len(taken) == 11
    monkeypatch.setattr(observed, "SECONDS", -1.0)
    with pytest.raises(NotIndexed, match="could not be read within"):
        pseudonyms(pd.DataFrame({"id": IDS}), "id", KEY)


def test_parquet_reads_the_one_column(tmp_path: Path) -> None:
    """A column that cannot be decoded is no concern of another one's persons."""
    table = pa.table({"id": IDS, "note": ["x" * 1000] * len(IDS)})
    file = tmp_path / "wide.parquet"
    parquet.write_table(table, file, compression="zstd")
    chunk = parquet.ParquetFile(file).metadata.row_group(0).column(1)
    data = bytearray(file.read_bytes())
    first = chunk.dictionary_page_offset or chunk.data_page_offset
    data[first : first + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    file.write_bytes(data)
    assert PERSONS == pseudonyms(file, "id", KEY)
