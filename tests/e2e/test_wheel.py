"""What users install is the wheel: it is built, unpacked and used away from the source tree."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_wheel_holds_three_packages_and_nothing_else(wheel: Path) -> None:
    """The wheel installs modeltrail, modeltrail_collector and modeltrail_schemas and no tests."""
    packages = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert {"modeltrail", "modeltrail_collector", "modeltrail_schemas"} == packages
    assert (wheel / "modeltrail" / "py.typed").exists()
    assert list((wheel / "modeltrail_schemas").glob("facets/*/*.json"))


def test_wheel_does_the_main_job(wheel: Path, tmp_path: Path) -> None:
    """The demo runs from the wheel alone, with every data file in it."""
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    code = (
        "import modeltrail, modeltrail_collector, modeltrail_schemas\n"
        f"assert all(m.__file__.startswith({str(wheel)!r}) for m in "
        "(modeltrail, modeltrail_collector, modeltrail_schemas))\n"
        "from modeltrail.cli import main; main(['demo'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "tumours@3" in result.stdout
