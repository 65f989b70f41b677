"""What the code runs on: Python, packages, lock file, container, hardware. Looked at once per process."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from modeltrail.facets import ModelTrailEnvironmentRunFacet
from modeltrail.guard import uncollected
from modeltrail.observe import redact
from modeltrail_schemas import digests
from modeltrail_schemas.variables import RESULT_VARIABLES

LOCKFILES: Final = {
    "uv.lock": "uv",
    "poetry.lock": "poetry",
    "pdm.lock": "pdm",
    "pylock.toml": "pylock",
    "Pipfile.lock": "pipenv",
    "conda-lock.yml": "conda",
    "pixi.lock": "pixi",
    "requirements.lock": "pip",
    "requirements.txt": "pip",
    "environment.yml": "conda",
}
"""Looked for in this order, in the working folder and then in each one above it."""
ACCELERATOR_TIMEOUT: Final = 3.0
_HEAD_BYTES: Final = 4096
"""In so much of its metadata most distributions have name and version."""
_FIELDS: Final = [re.compile(rb"(?im)^%s:(.*)\n" % name) for name in (b"name", b"version")]
_SITE: Final = Path(__file__).parent.parent / "launch" / "site"
"""What `modeltrail run` puts on the path of the program."""


def look() -> ModelTrailEnvironmentRunFacet:
    """The facet `modelTrail_environment` of this process; looked at once.

    It costs about 0.04 ms per package (9 ms for 225, measured), and nothing the second time.

    A package's `sha256` is that of its RECORD file, which lists the digest of every file that was installed:
    it tells two builds of one version apart, but not a file edited after installation. Packages without one
    (Debian's, some editable ones) have none. `packagesSha256` is over the sorted lines `name==version`.
    """
    return _look(os.getpid())


@cache
def _look(_: int) -> ModelTrailEnvironmentRunFacet:
    with uncollected():
        packages = sorted(_packages(), key=lambda package: package["name"])
    lines = sorted(f"{each['name']}=={each['version']}\n" for each in packages)
    return ModelTrailEnvironmentRunFacet(
        python={"version": platform.python_version(), "implementation": platform.python_implementation()},
        os={"name": platform.system(), "version": platform.release(), "arch": platform.machine()},
        packages=packages,
        packages_sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
        lockfile=_lockfile(),
        container=_container(),
        hardware=_hardware(),
    )


def look_at_imported(run_facets: dict[str, Mapping[str, Any]]) -> None:
    """Say in the facet `modelTrail_environment` what this process has come to import; if there is one."""
    key = ModelTrailEnvironmentRunFacet.KEY
    if (seen := run_facets.get(key)) is not None:
        names = (name for name in list(sys.modules) if "." not in name and not name.startswith("_"))
        run_facets[key] = {**seen, "imported": sorted({*names} - sys.stdlib_module_names)}


def variables() -> dict[str, str]:
    """The variables set in this process that a result can depend on, without secrets and without us."""
    found = {name: os.environ[name] for name in RESULT_VARIABLES if os.environ.get(name)}
    paths = found.get("PYTHONPATH", "").split(os.pathsep)
    found["PYTHONPATH"] = os.pathsep.join(path for path in paths if path != str(_SITE))
    return {name: redact.text(value) for name, value in found.items() if value}


def _packages() -> Iterator[dict[str, Any]]:
    """Each distribution once: the first on the path is the one that is imported."""
    seen: set[str] = set()
    for distribution in metadata.distributions():
        try:
            named, version = _head(distribution)
        except Exception:  # a half-removed package has metadata that cannot be read  # noqa: S112
            continue
        name = re.sub(r"[-_.]+", "-", named).lower()
        if not name or not version or name in seen:
            continue
        seen.add(name)
        package = {"name": name, "version": version, "source": _source(distribution)}
        record = _read(distribution, "RECORD")
        if record:
            package["sha256"] = hashlib.sha256(record).hexdigest()
        yield package


def _head(distribution: metadata.Distribution) -> tuple[str, str]:
    """Name and version; the parser of e-mail takes 0.2 ms for the description behind them, twice."""
    found: list[re.Match[bytes] | None] = []
    for size, end in ((_HEAD_BYTES, b""), (-1, b"\n")):  # a line that may be cut ends in nothing
        files = (_read(distribution, name, size) for name in ("METADATA", "PKG-INFO", ""))
        head, gap, _ = (next(filter(None, files), b"") + end).partition(b"\n\n")
        found = [field.search(head + gap) for field in _FIELDS]
        if all(found):
            break
    name, version = (each[1].strip().decode() if each else "" for each in found)
    return name, version


def _read(distribution: metadata.Distribution, name: str, size: int = -1) -> bytes | None:
    """A file of a distribution's metadata, or its first bytes, with the line ends of text.

    Of hundreds the paths, the buffers and the decoding would take most of the time.
    """
    folder = getattr(distribution, "_path", None)  # there is no public way
    try:
        if not isinstance(folder, Path):  # in an archive, or wherever a finder of somebody's has it
            return (distribution.read_text(name) or "").encode("utf-8", "surrogateescape")
        place = f"{folder}/{name}" if name else folder
        with open(place, "rb", buffering=0) as file:  # noqa: PTH123  a Path takes as long again
            return file.read(size).replace(b"\r", b"")
    except (OSError, UnicodeError):
        return None


def _source(distribution: metadata.Distribution) -> str:
    """`pypi` stands for any index; else what direct_url.json says (PEP 610), without credentials."""
    text = _read(distribution, "direct_url.json")
    if not text:
        return "pypi"
    try:
        direct = json.loads(text)
        url = redact.text(str(direct.get("url", "")))
        if direct.get("dir_info", {}).get("editable"):
            return "editable"
        if "vcs_info" in direct:
            return f"{direct['vcs_info'].get('vcs', 'vcs')}+{url}@{direct['vcs_info'].get('commit_id', '')}"
    except (ValueError, AttributeError):
        return "unknown"
    return "local" if url.startswith("file:") else url


def _lockfile() -> dict[str, Any] | None:
    try:
        start = Path.cwd()
    except OSError:
        return None
    for folder in (start, *start.parents):
        for name, kind in LOCKFILES.items():
            path = folder / name
            if path.is_file() and (digest := digests.sha256(path)):
                return {"kind": kind, "sha256": digest, "uri": path.as_uri()}
        if (folder / ".git").exists():
            break
    return None


def _container() -> dict[str, Any] | None:
    """What is visible from inside: an image and digest only where the platform passes them in."""
    image = next(
        (os.environ[name] for name in ("CONTAINER_IMAGE", "DOCKER_IMAGE") if os.environ.get(name)),
        None,
    )
    digest = os.environ.get("CONTAINER_IMAGE_DIGEST")
    if image and "@sha256:" in image and not digest:
        digest = image.partition("@")[2]
    found = {"image": redact.text(image) if image else None, "digest": digest}
    return {key: value for key, value in found.items() if value} or None


def _hardware() -> dict[str, Any]:
    found = {
        "cpuModel": _cpu_model(),
        "cpuCount": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memoryBytes": _memory(),
        "accelerators": _accelerators() or None,
    }
    return {key: value for key, value in found.items() if value}


def _cpu_model() -> str | None:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or None
    found = re.search(r"^(?:model name|Hardware|cpu model)\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or None


def _memory() -> int | None:
    """Bytes this process may use: the machine's, or its control group's if that is less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(limit).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError):
            continue
        if text.isdigit():
            return min(total, int(text))
    return total


def _accelerators() -> list[dict[str, Any]]:
    """NVIDIA's, as `nvidia-smi` names them; equal ones are counted."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            query,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ACCELERATOR_TIMEOUT,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return []
    found = []
    rows = [
        tuple(cell.strip() for cell in line.split(","))
        for line in answer.splitlines()
        if line.count(",") == 2
    ]
    for model, mebibytes, driver in dict.fromkeys(rows):
        card: dict[str, Any] = {
            "vendor": "NVIDIA",
            "model": model,
            "count": rows.count((model, mebibytes, driver)),
        }
        if mebibytes.isdigit():
            card["memoryBytes"] = int(mebibytes) << 20
        found.append(card | {"driver": driver})
    return found
