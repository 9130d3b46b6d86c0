"""What is uploaded: the built wheel, alone in a folder, with nothing of the checkout in reach."""

import os
import shutil
import subprocess
import sys
import tomllib

import pytest

from places import BENCHMARKS, ROOT

# An editable install puts the checkout on the path, after PYTHONPATH; a user has no checkout.
ALONE = f"""
import importlib, os, pathlib, pkgutil, sys
checkout = {[str(ROOT), str(ROOT / "tests"), str(BENCHMARKS)]}
sys.path = [path for path in sys.path if path not in checkout]
import gnnseq
installed = pathlib.Path(os.environ["PYTHONPATH"])
assert pathlib.Path(gnnseq.__file__).is_relative_to(installed), gnnseq.__file__
"""

README = """
import doctest
assert importlib.util.find_spec("harness") is None
failed, tried = doctest.testfile("README.md", module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
assert tried > 20 and not failed, (tried, failed)
"""

# A sweep so large that the compiled code takes it: it is built of the wheel's C files, and loaded.
COMPILED = """
import torch
layer = gnnseq.layers.LSTM(8, 32)
layer(torch.randn(640, 8), gnnseq.packed_paths([10] * 64))[0].sum().backward()
built = list(pathlib.Path(os.environ["XDG_CACHE_HOME"], "gnnseq").glob("*.so"))
assert len(built) == 1, built
assert str(built[0]) in pathlib.Path("/proc/self/maps").read_text()
"""

PLAIN = """
class Refused:
    def find_spec(name, path=None, target=None):
        if name in {extra}:
            raise ModuleNotFoundError(f"a plain install has no {{name}}", name=name)
sys.meta_path.insert(0, Refused)
failed = []
for module in pkgutil.walk_packages(gnnseq.__path__, "gnnseq."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        failed.append(f"{{module.name}}: {{error}}")
assert not failed, failed
"""


def called(*arguments, **options):
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds the installed wheel and nothing else."""
    wheels, folder = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("installed")
    called("-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT)
    (wheel,) = wheels.iterdir()
    called("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", folder, wheel)
    return folder


@pytest.fixture
def run_alone(installed, tmp_path):
    """Runs code in a fresh interpreter, in an empty folder, with an empty cache."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("GNNSEQ_NATIVE", None)
    return lambda code: called("-c", ALONE + code, cwd=tmp_path, env=environment)


def test_the_readmes_examples_run_from_the_wheel_and_its_c_files_compile(run_alone, tmp_path):
    shutil.copy(ROOT / "README.md", tmp_path)
    compiles = sys.platform == "linux" and shutil.which("cc")
    run_alone(README + (COMPILED if compiles else ""))


def test_a_plain_install_imports_every_module(run_alone):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = [name.partition(">")[0] for name in project["optional-dependencies"]["experiments"]]
    assert "pooch" in extra
    run_alone(PLAIN.format(extra=extra))
