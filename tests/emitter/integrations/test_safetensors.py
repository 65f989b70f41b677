"""Files of safetensors with numpy alone; with PyTorch they are in `test_modulefiles.py`."""

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import modeltrail

ARRAYS = {"weight": np.arange(6.0).reshape(2, 3), "bias": np.zeros(2)}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_arrays_of_no_known_model_are_data_of_the_run(autolog, told):
    """The file is an output with its digest, told once, and made of the file that was read."""
    autolog("safetensors")
    safetensors.numpy.save_file(ARRAYS, "in.safetensors")
    assert [] == told()
    with modeltrail.run("change"):
        read = safetensors.numpy.load_file("in.safetensors")
        safetensors.numpy.save_file(
            {name: each + 1 for name, each in read.items()}, filename="out.safetensors"
        )
    (event,) = told()
    (made,) = event["outputs"]
    path = Path("out.safetensors").absolute()
    assert str(path) == made["name"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == made["facets"]["version"]["datasetVersion"]
    assert ["in.safetensors"] == [Path(each["name"]).name for each in event["inputs"]]
    assert ARRAYS["bias"].tolist() == read["bias"].tolist()


def test_what_another_framework_writes_is_seen_where_it_is_written(autolog, told):
    """The library's own function is what the parts that nobody observes call in the end."""
    autolog("safetensors")
    bias = ARRAYS["bias"]
    given = {"dtype": "float64", "shape": bias.shape}
    if hasattr(safetensors, "TensorSpec"):
        written = safetensors.TensorSpec(**given, data_ptr=bias.ctypes.data, data_len=bias.nbytes)
    else:  # before 0.8
        written = {**given, "data": bias.tobytes()}
    with modeltrail.run("save"):
        safetensors.serialize_file({"bias": written}, "x.safetensors")
    (event,) = told()
    assert ["x.safetensors"] == [Path(each["name"]).name for each in event["outputs"]]
    assert bias.tolist() == safetensors.numpy.load_file("x.safetensors")["bias"].tolist()


def test_functions_of_the_library_pickle_as_before(autolog):
    """Also the one that is written in Rust."""
    autolog("safetensors")
    for function in (safetensors.serialize_file, safetensors.numpy.save_file):
        assert function is pickle.loads(pickle.dumps(function))


def test_errors_are_the_hosts_and_tell_nothing(autolog, told):
    """A save and a load that fail fail as ever, and tell of no file."""
    autolog("safetensors")
    with modeltrail.run("fail"):
        with pytest.raises(safetensors.SafetensorError):
            safetensors.numpy.save_file(ARRAYS, "nowhere/x.safetensors")
        with pytest.raises(FileNotFoundError):
            safetensors.numpy.load_file("x.safetensors")
    (event,) = told()
    assert ([], []) == (event["inputs"], event["outputs"])


def test_parts_that_are_imported_later_are_observed(inbox, tmp_path):
    """`autolog` before any import of the library is enough, and PyTorch is not imported for it."""
    code = (
        "import modeltrail, sys; modeltrail.autolog(strict=True)\n"
        "from safetensors.numpy import save_file; import numpy\n"
        "with modeltrail.run('save'): save_file({'a': numpy.zeros(2)}, 'a.safetensors')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    (made,) = inbox(tmp_path / "lineage")[-1]["outputs"]
    assert str(tmp_path / "a.safetensors") == made["name"]
