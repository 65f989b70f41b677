"""Environment variables that a result can depend on: these and no others are recorded, and set again."""

from typing import Final

RESULT_VARIABLES: Final = (
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MKL_NUM_THREADS",
    "MKL_CBWR",
    "NPY_DISABLE_CPU_FEATURES",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
    "TZ",
    "LANG",
    "LC_ALL",
)
"""The seed of hashes, where modules are found, threads and kernels, and how dates and texts are read."""
