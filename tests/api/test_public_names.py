"""The public names of the package: complete, the same for type checkers, and loaded only when used."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import eyebright


def test_the_public_names_are_sorted_and_exist() -> None:
    assert eyebright.__all__ == sorted(set(eyebright.__all__))
    assert all(getattr(eyebright, name) is not None for name in eyebright.__all__)
    assert set(eyebright.__all__) <= set(dir(eyebright))


def test_a_type_checker_sees_the_names_that_python_imports_from_the_same_modules() -> None:
    tree = ast.parse(Path(eyebright.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    for_checkers = {alias.asname: node.module for node in block.body for alias in node.names}
    assert for_checkers == eyebright._MODULE_OF


def test_picture_is_another_name_of_image() -> None:
    assert eyebright.Picture is eyebright.Image


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'eyebright' has no attribute 'DataBlok'"):
        _ = eyebright.DataBlok


def packages_loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return {name.split(".")[0] for name in out.splitlines()[-1].split()}  # the code may have printed before


def test_importing_eyebright_loads_no_large_package() -> None:
    large = {"torch", "numpy", "pandas", "timm", "torchvision", "matplotlib", "accelerate", "cv2", "PIL"}
    assert not large & packages_loaded_by("import eyebright")


def test_the_help_of_the_command_line_loads_no_large_package() -> None:
    code = "from eyebright.cli.main import run\nassert run(['train', '--help']) == 0"
    assert not {"torch", "numpy", "pandas", "timm", "torchvision", "matplotlib"} & packages_loaded_by(code)


@pytest.mark.slow
def test_the_modules_for_training_and_prediction_import_no_optional_package() -> None:
    extras = {"matplotlib", "jinja2", "fastcore", "sklearn", "IPython"}
    assert not extras & packages_loaded_by(
        "import eyebright.learner.learner, eyebright.inference.predictor, eyebright.data.block"
    )


@pytest.mark.parametrize(("former", "name"), eyebright._FORMER.items())
def test_a_former_name_is_the_one_of_today_and_warns_where_it_is_used(former: str, name: str) -> None:
    with pytest.warns(FutureWarning, match=f"eyebright.{former} has been renamed to {name}") as warned:
        value = getattr(eyebright, former)
    assert value is getattr(eyebright, name)
    assert warned[0].filename == __file__
    assert former not in eyebright.__all__


@pytest.mark.parametrize(
    ("block", "form"),
    [
        (eyebright.MultiCategoryBlock, "labels"),
        (eyebright.CategoryBlock(), "class"),
        (eyebright.OrdinalBlock, "class"),
        (eyebright.PointBlock, "points"),
        (eyebright.RegressionBlock(), "numbers"),
    ],
)
def test_the_form_of_a_block_is_read_as_before_and_warns_where_it_is_used(block: Any, form: str) -> None:
    with pytest.warns(FutureWarning, match=r"Block\.form has been renamed to \w+Block\.task_type") as warned:
        assert block.form == form
    assert warned[0].filename == __file__


@pytest.mark.slow
def test_a_star_import_does_not_warn() -> None:
    assert packages_loaded_by("import warnings\nwarnings.simplefilter('error')\nfrom eyebright import *")
