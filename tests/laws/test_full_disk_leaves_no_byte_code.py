"""A test of a full disk leaves the environment, that later tests import from, as it was."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
IMPORTS = "import _pydecimal"  # its byte code is larger than the limit, and nothing else imports it
UNDER_A_LIMIT = f"""
import sys
from support.full_disk import files_of_at_most
with files_of_at_most(1000):
    {IMPORTS}
print(sys.dont_write_bytecode)
"""


def in_a_process(code: str, byte_code: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONPYCACHEPREFIX": str(byte_code)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_a_module_imported_while_the_disk_is_full_is_imported_later(tmp_path: Path) -> None:
    limited = in_a_process(UNDER_A_LIMIT, tmp_path)
    assert (limited.returncode, limited.stdout) == (0, "False\n"), limited.stderr
    later = in_a_process(IMPORTS, tmp_path)
    assert later.returncode == 0, later.stderr
    assert list(tmp_path.rglob("_pydecimal*.pyc")), "byte code is kept where there is no limit"


def test_only_one_place_limits_the_size_of_files() -> None:
    places = [path for path in TESTS.rglob("*.py") if "RLIMIT_" + "FSIZE" in path.read_text()]
    assert places == [TESTS / "support" / "full_disk.py"]
