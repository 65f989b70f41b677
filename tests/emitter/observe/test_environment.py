"""The environment is what is installed and what the machine is, looked at once."""

import hashlib
import importlib.metadata
import os
import platform
import sys

import pytest

from modeltrail.launch import wrapper
from modeltrail.observe import environment
from modeltrail_schemas.variables import RESULT_VARIABLES


@pytest.fixture
def fresh():
    """No look from before."""
    environment._look.cache_clear()
    yield
    environment._look.cache_clear()


def test_packages_are_the_installed_ones(fresh):
    """Every installed distribution is there once, with its version, its source and its RECORD's digest."""
    packages = {package["name"]: package for package in environment.look().packages}
    attrs = importlib.metadata.distribution("attrs")
    assert {
        "name": "attrs",
        "version": attrs.version,
        "source": "pypi",
        "sha256": hashlib.sha256(attrs.read_text("RECORD").encode()).hexdigest(),
    } == packages["attrs"]
    assert "editable" == packages["modeltrail"]["source"]
    assert sorted(packages) == [package["name"] for package in environment.look().packages]


def test_the_digest_of_the_packages_is_over_names_and_versions(fresh):
    """`packagesSha256` is over the sorted lines `name==version`."""
    facet = environment.look()
    lines = "".join(sorted(f"{package['name']}=={package['version']}\n" for package in facet.packages))
    assert hashlib.sha256(lines.encode()).hexdigest() == facet.packages_sha256


def test_python_and_the_machine_are_named(fresh):
    """Python, operating system, processors and memory are there."""
    facet = environment.look()
    assert {"version": platform.python_version(), "implementation": "CPython"} == facet.python
    assert platform.machine() == facet.os["arch"]
    assert 0 < facet.hardware["cpuCount"] <= os.cpu_count()
    assert facet.hardware["memoryBytes"] > 1 << 20
    assert "accelerators" not in facet.hardware


def test_it_is_looked_at_once(fresh):
    """The second look is the first."""
    assert environment.look() is environment.look()


def distribution(folder, name, direct_url=None, record=None):
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if direct_url is not None:
        (info / "direct_url.json").write_text(direct_url)
    if record is not None:
        (info / "RECORD").write_text(record)


def test_sources_are_told_apart(fresh, tmp_path, monkeypatch):
    """Packages from git, a folder, editable, or with broken metadata are shown as such, without passwords."""
    distribution(
        tmp_path,
        "from_git",
        '{"url": "https://me:hunter2@host/r.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
    )
    distribution(tmp_path, "local", '{"url": "file:///src/local", "dir_info": {}}', record="x")
    distribution(tmp_path, "edited", '{"url": "file:///src/e", "dir_info": {"editable": true}}')
    distribution(tmp_path, "broken", "[no json")
    (tmp_path / "empty-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    found = {package["name"]: package for package in environment.look().packages}
    assert "git+https://[redacted]@host/r.git@abc" == found["from-git"]["source"]
    assert ("local", "editable", "unknown") == tuple(
        found[name]["source"] for name in ("local", "edited", "broken")
    )
    assert "sha256" not in found["edited"]
    assert hashlib.sha256(b"x").hexdigest() == found["local"]["sha256"]


def test_name_and_version_may_stand_far_down(fresh, tmp_path, monkeypatch):
    """A version is read whole wherever it stands in the head of the metadata, and never from below that."""
    for name, before in (("far", 9000), ("cut", environment._HEAD_BYTES - len("Name: cut\nVersion: 1."))):
        distribution(tmp_path, name)
        head = f"Name: {name}\n" + f"Summary: {'x' * before}"[: before - 1] + "\nVersion: 1.23 \n"
        (tmp_path / f"{name}-1.0.dist-info/METADATA").write_text(f"{head}\nVersion: 9\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = {package["name"]: package["version"] for package in environment.look().packages}
    assert ("1.23", "1.23") == (found["far"], found["cut"])


def test_the_nearest_lock_file_counts(fresh, tmp_path, monkeypatch):
    """The nearest lock file, from this folder up to the repository's top, is named with its digest."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "uv.lock").write_text("outer")
    (tmp_path / "a" / "requirements.txt").write_text("x==1")
    monkeypatch.chdir(inner)
    assert {
        "kind": "pip",
        "sha256": hashlib.sha256(b"x==1").hexdigest(),
        "uri": (tmp_path / "a" / "requirements.txt").as_uri(),
    } == environment.look().lockfile
    (inner / ".git").mkdir()
    environment._look.cache_clear()
    assert None is environment.look().lockfile


def test_a_container_is_named_where_it_says_so(fresh, monkeypatch):
    """The image and its digest are what the platform passes in; without that nothing is claimed."""
    assert None is environment.look().container
    environment._look.cache_clear()
    monkeypatch.setenv("CONTAINER_IMAGE", "registry/train@sha256:abc")
    assert {"image": "registry/train@sha256:abc", "digest": "sha256:abc"} == environment.look().container


def test_equal_accelerators_are_counted(fresh, tmp_path, monkeypatch):
    """What nvidia-smi lists is grouped by model; one that fails or says nothing is no accelerator."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'H100, 81559, 550.1'\necho 'H100, 81559, 550.1'\necho 'odd line'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert [
        {"vendor": "NVIDIA", "model": "H100", "count": 2, "memoryBytes": 81559 << 20, "driver": "550.1"}
    ] == environment.look().hardware["accelerators"]
    environment._look.cache_clear()
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert "accelerators" not in environment.look().hardware


def test_variables_that_a_result_depends_on_are_told(monkeypatch):
    """The seed of hashes, paths and threads are told where they are set, without secrets and without us."""
    for name in RESULT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert {} == environment.variables()
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter7")
    monkeypatch.setenv("XLA_FLAGS", "--token=hunter8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(environment._SITE), "src"]))
    assert {
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": "src",
        "XLA_FLAGS": "--token=[redacted]",
    } == environment.variables()
    assert environment._SITE == wrapper._SITE


def test_what_the_process_imported_is_told(fresh, monkeypatch):
    """Top-level modules by name, neither Python's own nor private ones; without a facet nothing is told."""
    for name in ("acme", "acme.inner", "_acme"):
        monkeypatch.setitem(sys.modules, name, None)
    told = {"modelTrail_environment": environment.look().to_dict()}
    environment.look_at_imported(told)
    names = told["modelTrail_environment"]["imported"]
    assert sorted(names) == names
    assert {"acme", "modeltrail", "pytest"} <= {*names}
    assert not {"acme.inner", "_acme", "json", "sys"} & {*names}
    environment.look_at_imported(nothing := {})
    assert {} == nothing
