"""What runs outside of the tests: the workflow file, the hooks of commits and the make targets that they name."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
HOOKS = ROOT / ".pre-commit-config.yaml"
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split())
RULES = re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
TARGETS = set(" ".join(RULES).split())


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps() -> list[dict[str, Any]]:
    return [step for job in read(WORKFLOW)["jobs"].values() for step in job["steps"]]


def called_targets(text: str) -> set[str]:
    return {target for line in re.findall(r"\bmake ([^\n]+)", text) for target in re.findall(r"^([a-z-]+)", line)}


def test_the_workflow_calls_make_targets_that_exist() -> None:
    called = called_targets("\n".join(step.get("run", "") for step in steps()))
    assert {"check", "test", "demo"} <= called <= TARGETS


def test_every_command_of_the_workflow_is_a_make_target() -> None:
    assert all(step["run"].startswith("make ") for step in steps() if "run" in step)


def test_the_workflow_runs_every_python_that_the_package_names_on_three_systems() -> None:
    matrix = read(WORKFLOW)["jobs"]["test"]["strategy"]["matrix"]
    named = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert matrix["python"] == named
    assert [name.split("-")[0] for name in matrix["system"]] == ["ubuntu", "macos", "windows"]


def test_the_workflow_may_only_read_and_its_jobs_end() -> None:
    workflow = read(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())


def test_the_hooks_use_the_versions_that_are_pinned() -> None:
    hooks = [hook for repository in read(HOOKS)["repos"] for hook in repository["hooks"]]
    needed = [package.split("==") for hook in hooks for package in hook.get("additional_dependencies", [])]
    assert needed
    assert {name: PINS[name] for name, _ in needed} == dict(needed)
    assert called_targets("\n".join(hook["entry"] for hook in hooks)) <= TARGETS


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_an_issue_form_can_be_read_and_its_fields_have_different_names(form: Path) -> None:
    body = read(form).get("body", [])
    names = [field["id"] for field in body]
    assert len(names) == len(set(names))
    assert all(field["attributes"].get("label") for field in body)


def test_a_target_exists_for_everything_that_the_makefile_promises() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    promised = set(re.findall(r"^# make ([a-z-]+)  ", text, re.MULTILINE))
    assert promised <= TARGETS
    assert {"test", "check", "demo", "docs"} <= promised
    phony = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert set(" ".join(phony).split()) == TARGETS


needs_make = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Make, as a user calls it, also where the tests are run by make."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@needs_make
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_make_can_plan_each_target(target: str, tmp_path: Path) -> None:
    planned = make("--dry-run", target, f"VENV={tmp_path / 'venv'}")
    assert planned.returncode == 0, planned.stderr


@needs_make
def test_an_environment_of_another_python_is_not_used_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.10.4\n", encoding="utf-8")
    refused = make("test", f"VENV={tmp_path}")
    assert refused.returncode != 0
    assert f"{tmp_path} is an environment of Python 3.10, and python3 is 3." in refused.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "pyvenv.cfg"]
    assert make("--dry-run", "clean", f"VENV={tmp_path}").returncode == 0


@needs_make
def test_another_python_gets_an_environment_of_its_own() -> None:
    planned = make("--dry-run", "test", f"PYTHON={sys.executable}")
    assert planned.returncode == 0, planned.stderr
    assert re.search(r"\.venv-3\.\d+/\w+/python -m pytest", planned.stdout)
