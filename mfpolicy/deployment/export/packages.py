"""What a format of an export needs beside PyTorch."""

from __future__ import annotations

import importlib

from mfpolicy.errors import BackendError

_FOR_ONNX = ("onnx", "onnxscript", "onnxruntime")
PACKAGES = {"onnx": _FOR_ONNX, "torch": (), "folder": _FOR_ONNX}


def require_packages(format: str, *, what: str) -> None:
    """Refuses what cannot be done because a package of this format is not installed.

    Args:
        format: onnx, torch or folder.
        what: asked for, for the message.

    Raises:
        BackendError: it is not installed.
    """
    for name in PACKAGES[format]:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise BackendError(
                f"{what} needs the package {name}",
                received="not installed",
                remedy="pip install 'mfpolicy[export]'",
            ) from error
