"""Folders with damaged files end in their content or in one short error, quickly."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz_folders.py")


@pytest.mark.slow
def test_damaged_files_end_in_their_content_or_in_one_short_error() -> None:
    run = subprocess.run([sys.executable, FUZZ, "60", "7"], capture_output=True, text=True, check=True)
    found = json.loads(run.stdout.splitlines()[-1])
    assert set(found) <= {"read", "error"}, run.stdout
    assert sum(found.values()) >= 60
