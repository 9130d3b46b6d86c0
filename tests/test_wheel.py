"""What is uploaded: the built wheel, alone in a folder, with nothing of the checkout in reach."""

import os
import shutil
import subprocess
import sys

from places import BENCHMARKS, ROOT

# An editable install puts the checkout on the path, after PYTHONPATH; a user has no checkout.
ALONE = f"""
import importlib.util, os, pathlib, sys
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


def called(*arguments, **options):
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_readmes_examples_run_from_the_wheel_and_its_c_files_compile(tmp_path):
    wheels, installed, room = (tmp_path / name for name in ("wheels", "installed", "room"))
    room.mkdir()
    called("-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT)
    (wheel,) = wheels.iterdir()
    called("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", installed, wheel)
    shutil.copy(ROOT / "README.md", room)
    environment = {**os.environ, "PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("GNNSEQ_NATIVE", None)
    compiles = sys.platform == "linux" and shutil.which("cc")
    called("-c", ALONE + README + (COMPILED if compiles else ""), cwd=room, env=environment)
