"""The folder for downloaded datasets and for settings measured on this machine."""

import os
from pathlib import Path

from eyebright.errors import InputError


def home() -> Path:
    """The path in the environment variable ``EYEBRIGHT_HOME``, or ``~/.eyebright``; the folder may not exist.

    Raises:
        InputError: the path starts with ``~`` and the home folder is unknown, as for many users in containers.
    """
    folder = os.environ.get("EYEBRIGHT_HOME") or "~/.eyebright"
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise InputError(
            f"the home folder in '{folder}' is unknown on this system; set the environment variable EYEBRIGHT_HOME to "
            "another folder"
        ) from None
