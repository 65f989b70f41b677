"""The tables are read by others, without any code of ours."""

import polars as pl
import pytest
from deltalake import DeltaTable

import modeltrail_collector
from modeltrail_collector.tables import PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_plain_readers_see_the_same(churn, name) -> None:
    """Both deltalake and polars read each table by its path, with the rows and columns of the handle."""
    path = f"{churn.uri}/tables/{name}"
    with modeltrail_collector.open(churn.uri) as log:
        ours = log.table(name).pl()
    columns = sorted(PUBLIC[name].names)
    by_deltalake = pl.from_arrow(DeltaTable(path).to_pyarrow_table())
    by_polars = pl.scan_delta(path).collect()
    for theirs in (by_deltalake, by_polars):
        assert columns == sorted(theirs.columns)
        assert sorted(map(repr, ours.select(columns).rows())) == sorted(
            map(repr, theirs.select(columns).rows())
        )
