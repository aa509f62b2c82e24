"""Trainings that are killed leave no files for ever, and resume to the weights of an uninterrupted one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_trainings.py")  # with 34 as its argument it is the long version


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the trainings are forks")
def test_killed_trainings_leave_no_files_and_resume_to_the_same_weights(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, str(SCRIPT), "3", str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["killed"] == 3
    assert found["temporary files after the next training"] == 0
    assert found["resumed to the same weights"] == found["resumed"]
    assert found["resumed"] + found["started again to the same weights"] == 3
