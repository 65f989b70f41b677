"""Where a reason is, when the validator's own path lacks a step."""

import json

import pytest
from benchmarks.hostile import BASE, event

from modeltrail_collector.judge import judge


@pytest.mark.parametrize("name", ["plan", ""])
def test_a_broken_histogram_is_a_warning(name) -> None:
    """A broken part of a column's profile is a warning of the facet, whatever the column is called."""
    column = {"dtype": "double", "count": 1, "nulls": 0, "histogram": {"counts": [1]}}
    profile = BASE | {"columns": {name: column}, "rows": 1}
    put = {"namespace": "n", "name": "d", "inputFacets": {"modelTrail_featureProfile": profile}}
    found = judge(json.dumps(event(inputs=[put])).encode())
    assert ("warned", "facet_schema") == (found.verdict, found.reasons[0].code)
