"""Where what belongs to no project is kept: downloaded sets, and what was measured about this machine."""

import os
from pathlib import Path


def home() -> Path:
    """The folder that the environment variable ``EYEBRIGHT_HOME`` names, or ``~/.eyebright``; it need not be there."""
    return Path(os.environ.get("EYEBRIGHT_HOME") or "~/.eyebright").expanduser()
