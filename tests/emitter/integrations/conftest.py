"""Integrations are switched on by a test and off again after it."""

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

import modeltrail
from modeltrail import guard, integrations


@pytest.fixture(autouse=True, scope="session")
def one_thread_each():
    """Small trainings on a busy machine wait for each other's threads most of the time."""
    with threadpool_limits(1, "openmp"):
        yield


@pytest.fixture
def autolog(events):
    """`modeltrail.autolog`, undone at the end; nothing of ours may have failed."""
    yield modeltrail.autolog
    integrations.deactivate()
    assert {} == guard.failures()


@pytest.fixture
def told(events):
    """`told(kind)`: the events of all runs of one kind: COMPLETE, FAIL and so on."""

    def find(kind="COMPLETE"):
        return [event for event in events if event["eventType"] == kind]

    return find


@pytest.fixture
def tables(tmp_path):
    """Two files of two features and a label."""
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        table = pd.DataFrame(random.normal(size=(60, 2)), columns=["age", "income"])
        table.assign(bought=(table["age"] > 0).astype(int)).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path
