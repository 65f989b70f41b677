"""What a model is: its file and digest, its framework and algorithm, its signature and size."""

from typing import Any

import attrs

from modeltrail.observe.files import FileDigest


@attrs.frozen
class ModelView:
    """What could be seen of a model, as a file, a directory or an object in memory.

    Attributes:
        namespace: the OpenLineage namespace: `file`, a store, or `inmemory://`.
        name: the OpenLineage name: the absolute path, the key, or the given name.
        digest: lower hex; None when nothing could be read.
        digest_algorithm: `sha256`, `sha256-tree`, or `sha256-pickle` for an object that has no file.
        uri: where it lies; None for an object in memory.
        size_bytes: bytes on disk, or of the pickle.
        files: the files of a directory, at most 200.
        framework: the library's import name (`sklearn`, `xgboost`, …).
        framework_version: its version in this process.
        algorithm: the qualified class of the (final) estimator.
        flavor: how it can be loaded: `sklearn`, `xgboost`, `onnx`, …
        format: how it is stored: `joblib`, `pickle`, `onnx`, `safetensors`, `torch`, …
        parameter_count: number of fitted numbers, where cheap to count.
        task: classification, regression, clustering, … as in `modelTrail_training`.
        inputs: signature: dicts of name, type, shape, required.
        outputs: signature, the same.
    """

    namespace: str
    name: str
    digest: str | None = None
    digest_algorithm: str | None = None
    uri: str | None = None
    size_bytes: int | None = None
    files: tuple[FileDigest, ...] = ()
    framework: str | None = None
    framework_version: str | None = None
    algorithm: str | None = None
    flavor: str | None = None
    format: str | None = None
    parameter_count: int | None = None
    task: str | None = None
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
