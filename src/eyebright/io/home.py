"""Where what belongs to no project is kept: downloaded sets, and what was measured about this machine."""

import os
from pathlib import Path

from eyebright.errors import InputError


def home() -> Path:
    """The folder that the environment variable ``EYEBRIGHT_HOME`` names, or ``~/.eyebright``; it need not be there.

    Raises:
        InputError: the folder starts from a person's home, and the system knows none: containers often have users
            without a name.
    """
    named = os.environ.get("EYEBRIGHT_HOME") or "~/.eyebright"
    try:
        return Path(named).expanduser()
    except RuntimeError:
        raise InputError(
            f"the folder '{named}' starts from a home that this system does not know; "
            "name another with the environment variable EYEBRIGHT_HOME"
        ) from None
