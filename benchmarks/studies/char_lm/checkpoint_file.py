"""Checkpoints as files that are whole or not there, and that run no code when they are read.

The module needs the extra packages of the experiments (lightning); nothing that ``import gnnseq`` loads imports it.
"""

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

__all__ = ["CheckpointFiles", "read_checkpoint"]


class CheckpointFiles(TorchCheckpointIO):
    """How Lightning's Trainer writes and reads checkpoints, as a plugin.

    A checkpoint goes to a temporary name in the same folder, reaches the disk, and then takes the file's place: whoever
    reads finds the old one or the new one. Where it cannot be written the old one stays, and the OSError names it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a checkpoint.

        Raises:
            OSError: If the file cannot be written, as on a full disk.
        """
        path = Path(path)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            before = "the one from before is intact" if path.exists() else "there is none from before"
            raise OSError(error.errno, f"checkpoint not written, {before}; make room or name another folder "
                          f"({error.strerror})", str(path)) from error  # fmt: skip
        finally:
            with suppress(OSError):
                temporary.unlink()

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Reads a checkpoint, see :func:`read_checkpoint`."""
        return read_checkpoint(path)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads what torch.save wrote, tensors and plain values only, onto the CPU.

    Args:
        path: A file; none of its content is executed, whoever made it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is cut off, damaged or no checkpoint, or holds anything that would have to be executed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.ckpt"
        >>> CheckpointFiles().save_checkpoint({"step": 3}, path)
        >>> read_checkpoint(path)
        {'step': 3}
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; expected a .ckpt file that training has written")
    content = path.read_bytes()
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    # torch raises whatever it meets: pickle's, zip's and its own errors.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0].partition(". ")[0]
        raise ValueError(f"{path}: {len(content)} bytes that are no checkpoint ({type(error).__name__}: {reason}); "
                         "the file was cut off, damaged or made by another program; take another one, or train "
                         "anew") from error  # fmt: skip
    if not isinstance(found, dict):
        raise ValueError(f"{path}: holds a {type(found).__name__}; expected a checkpoint of a training")
    return found
