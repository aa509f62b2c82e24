"""The address of a review, which stays the same after a restart, so that an open page keeps working.

The token is derived from a secret that only the user can read, and from the names of the images and their order, since
the page identifies images by their index: with other images, an old page must not work.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path

from eyebright.io.atomic import write_atomically

_SECRET, _PORT = "secret", "port"
_BYTES = 32


def stable_token(folder: Path, files: Iterable[str]) -> str:
    """The token of the address for these images; a random one if the secret cannot be kept.

    Args:
        folder: the folder of the journal.
        files: the names of the images, in their order.
    """
    digest = hmac.new(_secret(folder / _SECRET), digestmod=hashlib.sha256)
    for file in files:
        digest.update(file.encode(errors="surrogateescape") + b"\0")
    return urlsafe_b64encode(digest.digest()[:18]).decode()


def former_port(folder: Path) -> int | None:
    """The port of the last review; None if unknown."""
    try:
        port = int((folder / _PORT).read_text(encoding="ascii")[:10])
    except (OSError, ValueError):
        return None
    return port if 1024 <= port <= 65535 else None


def keep_port(folder: Path | None, port: int) -> None:
    """Saves the port for the next review, if possible."""
    if folder is not None:
        with contextlib.suppress(OSError):
            write_atomically(folder / _PORT, lambda file: file.write_text(f"{port}\n", encoding="ascii"), flush=False)


def _secret(path: Path) -> bytes:
    """The secret in a file that only the user can read; it is created if it is missing or damaged."""
    with contextlib.suppress(OSError):
        kept = path.read_bytes()
        if len(kept) == _BYTES:
            return kept
    secret = secrets.token_bytes(_BYTES)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secret)
        finally:
            os.close(descriptor)
    return secret
