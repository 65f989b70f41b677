"""What every broker of this machine shares: Kafka's jars, a formatted checkpoint, a class-data archive."""

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import node
from node import BrokerError

POM = Path(__file__).with_name("pom.xml")


def cache_dir() -> Path:
    """Where jars and archive lie: `MODELTRAIL_KAFKA_CACHE`, else below the user's cache directory."""
    if chosen := os.environ.get("MODELTRAIL_KAFKA_CACHE"):
        return Path(chosen).absolute()
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "modeltrail" / "kafka-4.3.1"
    # HOME may be unset or empty (cron, some containers): then the user database knows.
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return Path(home) / ".cache" / "modeltrail" / "kafka-4.3.1"


def find_java() -> str:
    """The java of JAVA_HOME, else of PATH; it must be 17 or newer."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    java = java or shutil.which("java")
    if java is None:
        raise BrokerError(
            "java is not installed; the Kafka broker needs Java 17 or newer. "
            "Debian and Ubuntu: apt install openjdk-17-jre-headless maven. macOS: brew install openjdk maven"
        )
    return java


def _stamp(cache: Path) -> dict[str, object]:
    """What jars and archive depend on. On any difference the JVM would silently ignore the archive."""
    java = Path(find_java()).resolve()
    jars = [(jar.name, jar.stat().st_size, jar.stat().st_mtime_ns) for jar in jar_files(cache)]
    return {
        "pom": hashlib.sha256(POM.read_bytes()).hexdigest(),
        "jars": [[name, size] for name, size, _ in jars],
        "archive": [str(cache), str(java), java.stat().st_mtime_ns, *(modified for *_, modified in jars)],
    }


def jar_files(cache: Path) -> list[Path]:
    """The jars in the order of the class path."""
    return sorted((cache / "lib").glob("*.jar"))


def command(cache: Path, *flags: str) -> list[str]:
    """The JVM with Kafka's jars; the main class comes next. The archive is tied to this order of jars."""
    class_path = ":".join(map(str, jar_files(cache)))
    memory = ["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    quiet = ["-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    return [find_java(), *memory, *quiet, *flags, "-cp", class_path]


@contextlib.contextmanager
def _locked(cache: Path) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare() -> Path:
    """Make the cache complete and return it; a second call finds it done. Safe when two run at once."""
    cache = cache_dir()
    stamp_file = cache / "prepared.json"
    if node.read_json(stamp_file) == _stamp(cache):
        return cache
    with _locked(cache):
        found, wanted = node.read_json(stamp_file), _stamp(cache)
        if found == wanted:
            return cache
        _check_java_version(find_java())
        if (found.get("pom"), found.get("jars")) != (wanted["pom"], wanted["jars"]):
            _download(cache)
        _make_archive(cache)
        stamp_file.write_text(json.dumps(_stamp(cache)))
    return cache


def _check_java_version(java: str) -> None:
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = said.split('"')[1] if '"' in said else said.strip()
    major = version.split(".")[0]
    if not major.isdigit() or int(major) < 17:  # Java 8 calls itself 1.8
        raise BrokerError(
            f"Kafka 4 needs Java 17 or newer; {java} is {version!r}. Set JAVA_HOME to a newer one."
        )


def _download(cache: Path) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise BrokerError(
            "mvn is not installed; it fetches the Kafka broker's jars. Debian and Ubuntu: apt install maven. "
            f"macOS: brew install maven. Or copy a prepared cache from another machine to {cache}"
        )
    print(f"Fetching Apache Kafka's jars by Maven into {cache} (once per machine) ...", file=sys.stderr)
    fresh = cache / "lib.new"
    shutil.rmtree(fresh, ignore_errors=True)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={fresh}", "-DincludeScope=runtime"]
    done = subprocess.run([mvn, "-B", "-q", "-f", POM, *goal], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise BrokerError(
            f"mvn ended with exit code {done.returncode} (its output is above). "
            "Without a network, fill Maven's local repository first or set a mirror in its settings.xml"
        )
    shutil.rmtree(cache / "lib", ignore_errors=True)
    fresh.rename(cache / "lib")


def _make_archive(cache: Path) -> None:
    """Format one throw-away broker by Kafka's own tool, keep its checkpoint, archive the classes it loads."""
    print("Making the broker's class-data archive (once per machine) ...", file=sys.stderr)
    (cache / "broker.jsa").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="first-") as first:
        directory = Path(first)
        ports = node.choose_ports(["PLAINTEXT", "CONTROLLER"], {})
        properties = node.write_properties(directory, ports, {}, {})
        _format(cache, properties)
        shutil.copy(directory / "data" / "bootstrap.checkpoint", cache / "bootstrap.checkpoint")
        process = node.spawn(
            directory, command(cache, "-Xshare:auto", f"-XX:ArchiveClassesAtExit={cache / 'broker.jsa'}")
        )
        try:
            node.wait_ready(directory, process, ports["PLAINTEXT"])
            process.terminate()
            process.wait(node.STOP_SECONDS)
        finally:
            process.kill()
            process.wait()


def _format(cache: Path, properties: Path) -> None:
    options = ["format", "--cluster-id", node.random_id(), "--config", str(properties)]
    tool = [*command(cache), "kafka.tools.StorageTool", *options]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BrokerError(f"Kafka's StorageTool ended with {done.returncode}: {done.stderr or done.stdout}")
