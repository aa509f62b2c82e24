"""The version stands in one place, and is known without installing: a checkout on the path of Python is enough."""

import re
from importlib import metadata
from pathlib import Path

import eyebright

SOURCE = Path(eyebright.__file__).parent


def test_the_version_is_that_of_the_installed_package() -> None:
    assert eyebright.__version__ == metadata.version("eyebright")


def test_no_code_looks_its_own_version_up_among_the_installed_packages() -> None:
    looked_up = re.compile(r"version\(['\"]eyebright['\"]\)|distribution\(['\"]eyebright['\"]\)")
    assert [str(file) for file in SOURCE.rglob("*.py") if looked_up.search(file.read_text(encoding="utf-8"))] == []
