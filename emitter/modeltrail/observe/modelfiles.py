"""How a model is stored, and by which framework: from a file's name and first bytes; nothing is loaded."""

import contextlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Final

HEAD: Final = 64 << 10
_MAX_SCHEMA: Final = 16 << 20

# suffix -> (format, framework that alone writes it)
_SUFFIXES: Final[dict[str, tuple[str, str | None]]] = {
    ".joblib": ("joblib", None),
    ".pkl": ("pickle", None),
    ".pickle": ("pickle", None),
    ".skops": ("skops", "sklearn"),
    ".onnx": ("onnx", "onnx"),
    ".safetensors": ("safetensors", None),
    ".pt": ("torch", "torch"),
    ".pth": ("torch", "torch"),
    ".ckpt": ("torch", "torch"),
    ".pt2": ("torch-export", "torch"),
    ".gguf": ("gguf", None),
    ".ubj": ("ubjson", "xgboost"),
    ".xgb": ("xgboost", "xgboost"),
    ".cbm": ("catboost", "catboost"),
    ".keras": ("keras", "keras"),
    ".h5": ("hdf5", "keras"),
    ".hdf5": ("hdf5", "keras"),
    ".tflite": ("tflite", "tensorflow"),
    ".pmml": ("pmml", None),
}
# Stronger than a name: how files begin -> (format, framework, class of what they hold).
_MAGIC: Final[tuple[tuple[bytes, tuple[str, str | None, str | None]], ...]] = (
    (b"GGUF", ("gguf", None, None)),
    (b"CBM1", ("catboost", "catboost", None)),
    (b"tree\nversion=", ("lightgbm-text", "lightgbm", "lightgbm.Booster")),
    (b'{"learner"', ("xgboost-json", "xgboost", "xgboost.Booster")),
    (b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner", ("ubjson", "xgboost", "xgboost.Booster")),
    (b"\x89HDF\r\n", ("hdf5", "keras", None)),
)
# What a saved model's folder contains, the outermost first.
_FOLDERS: Final[tuple[tuple[str, str, str | None], ...]] = (
    ("MLmodel", "mlflow", None),
    ("saved_model.pb", "savedmodel", "tensorflow"),
    ("adapter_config.json", "peft", "peft"),
    ("config.json", "transformers", "transformers"),
    ("modules.json", "sentence-transformers", "sentence_transformers"),
)
_SPARK_PREDICTS: Final = tuple(
    f"pyspark.ml.{task}." for task in ("classification", "regression", "clustering", "recommendation")
)
_PICKLED: Final = {"pickle", "joblib"}


def describe(path: Path) -> tuple[str | None, str | None, str | None]:
    """(format, framework, qualified class) of a model file or folder; None for what cannot be told."""
    try:
        return _folder(path) if path.is_dir() else _file(path)
    except OSError:
        return None, None, None


def _folder(path: Path) -> tuple[str | None, str | None, str | None]:
    for name, form, framework in _FOLDERS:
        if (path / name).is_file():
            return form, framework, None
    algorithm = _spark_class(path)
    return ("spark-ml", "pyspark", algorithm) if algorithm else (None, None, None)


def _spark_class(path: Path, depth: int = 4) -> str | None:
    """The class that predicts, of what pyspark.ml or Spark's own ML saved, in the words of pyspark.

    Source: Spark's `DefaultParamsWriter`: a line of JSON in `metadata`; the parts of a pipeline in
    `stages/{number}_{uid}`, what a search found in `bestModel`.
    """
    lines = sorted((path / "metadata").glob("part-*"))
    if not lines or depth == 0:
        return None
    with lines[0].open("rb") as file, contextlib.suppress(ValueError, AttributeError):
        whole = json.loads(file.readline(HEAD)).get("class")
        stages = sorted((path / "stages").glob("*_*"), key=lambda stage: int(stage.name.partition("_")[0]))
        parts = [_spark_class(part, depth - 1) for part in (*stages, path / "bestModel")]
        found = [part for part in parts if part]
        predicting = [part for part in found if part.startswith(_SPARK_PREDICTS)]
        if predicting or found:
            return (predicting or found)[-1]
        return whole.replace("org.apache.spark.", "pyspark.") if isinstance(whole, str) else None
    return None


def _file(path: Path) -> tuple[str | None, str | None, str | None]:
    with path.open("rb") as file:
        head = file.read(HEAD)
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    named, framework = _SUFFIXES.get(path.suffix.lower(), (None, None))
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors", None, None
    if named == "skops":
        return named, framework, _skops_class(path)
    stream = _inflated(head)
    if not stream.startswith(b"\x80"):
        return named, framework, None
    algorithm = _first_class(stream)
    if algorithm is not None:
        framework = algorithm.partition(".")[0]
    return named if named in _PICKLED or named == "torch" else "pickle", framework, algorithm


def _skops_class(path: Path) -> str | None:
    """The class of the object that skops saved, by the description of it in the archive."""
    with contextlib.suppress(ValueError, KeyError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        if archive.getinfo("schema.json").file_size <= _MAX_SCHEMA:
            said = json.loads(archive.read("schema.json"))
            return f"{said['__module__']}.{said['__class__']}"
    return None


def _inflated(head: bytes) -> bytes:
    """Joblib compresses with zlib unless told otherwise."""
    if head[:1] != b"\x78":
        return head
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj().decompress(head, HEAD)
    return head


def _first_class(stream: bytes) -> str | None:
    """The class of the pickled object: read from the pickle's opcodes, which runs none of them."""
    import pickletools  # takes 0.6 ms to load, and few models are pickled where they are fitted

    texts: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "GLOBAL":
                return str(argument).replace(" ", ".")
            if opcode.name == "STACK_GLOBAL":
                return f"{texts[-2]}.{texts[-1]}"
            if isinstance(argument, str):
                texts.append(argument)
    except (ValueError, IndexError):  # cut off, or no pickle after all
        pass
    return None
