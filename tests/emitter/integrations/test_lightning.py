"""Lightning, of both packages, as people use it, and what it leaves in the events."""

import copy
import importlib
import pickle
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from told import facet, metrics, uses

import modeltrail
from modeltrail import integrations
from modeltrail.observe import data

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore"),  # Lightning's own: workers, small data, what torch deprecates
]
torch = pytest.importorskip("torch") if "torch" in sys.modules else None
