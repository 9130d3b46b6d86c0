"""Checkpoints as files that are whole or not there, and that run no code when they are read."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from harness.files import write_bytes

__all__ = ["CheckpointFiles", "read_checkpoint"]


class CheckpointFiles(TorchCheckpointIO):
    """How Lightning's Trainer writes and reads checkpoints, as a plugin.

    Whoever reads finds the old checkpoint or the whole new one. If the new one cannot be written, the old one stays.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint, or raise an OSError that names the file."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        try:
            write_bytes(path, content.getbuffer())
        except OSError as error:
            before = "the one from before is intact" if Path(path).exists() else "there is none from before"
            raise OSError(error.errno, f"checkpoint not written, {before}; make room or name another folder "
                          f"({error.strerror})", str(path)) from error  # fmt: skip

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint, see :func:`read_checkpoint`."""
        return read_checkpoint(path)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read what torch.save wrote, tensors and plain values only, onto the CPU; nothing in the file is executed.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is cut off, damaged or no checkpoint, or holds anything that would have to be executed.

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
