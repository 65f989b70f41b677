"""What an import costs a program that is not ours."""

import json
import subprocess
import sys

HEAVY = {
    "attr",
    "attrs",
    "openlineage",
    "kafka",
    "sklearn",
    "pandas",
    "numpy",
    "pyarrow",
    "polars",
    "torch",
    "yaml",
    "requests",
}


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has after the code, beyond those that it starts with."""
    probe = (
        f"import sys, json; before = set(sys.modules)\n{code}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_importing_loads_one_module():
    """`import modeltrail` loads nothing of ours but the package itself, and nothing of anybody else."""
    found = loaded("import modeltrail")
    assert {"modeltrail"} == {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names}


def test_a_run_loads_no_library_of_others():
    """A whole run into the local inbox needs no client, no ML library, and no attrs, which starts slowly."""
    found = loaded(
        "import modeltrail\nwith modeltrail.run('job') as run: run.params({'a': 1}); run.metric('x', 1)"
    )
    assert set() == {name.partition(".")[0] for name in found} & HEAVY


def test_the_surface_is_what_all_says():
    """Each name of `__all__` is there, the list is sorted, and `dir` shows just that."""
    import modeltrail

    assert sorted(modeltrail.__all__) == modeltrail.__all__ == dir(modeltrail)
    for name in modeltrail.__all__:
        assert getattr(modeltrail, name) is not None
    assert callable(modeltrail.run)


def test_no_submodule_hides_a_verb():
    """After every module of the package was imported, the public names still are the verbs.

    But for the two that only others import: Python its sitecustomize, Airflow its plugin.
    """
    code = (
        "import pkgutil, modeltrail, importlib\n"
        "for found in pkgutil.walk_packages(modeltrail.__path__, 'modeltrail.'):\n"
        "    if not {'site', '_airflow_plugin'} & {*found.name.split('.')}:\n"
        "        importlib.import_module(found.name)\n"
        "assert all(callable(getattr(modeltrail, v)) for v in "
        "('run', 'track', 'autolog', 'configure', 'flush', 'current_run'))"
    )
    loaded(code)
