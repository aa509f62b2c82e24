"""The public face: names, sorted, each found, and nothing heavy loaded for them."""

import subprocess
import sys

import eyebright


def test_the_names_are_sorted_and_each_is_there() -> None:
    assert eyebright.__all__ == sorted(eyebright.__all__)
    for name in eyebright.__all__:
        assert getattr(eyebright, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(eyebright, "DataBlok")


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return {name.split(".")[0] for name in out.splitlines()[-1].split()}  # the code may have printed before


def test_importing_eyebright_loads_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "pandas", "timm", "torchvision", "matplotlib", "accelerate", "cv2", "PIL"}
    assert not heavy & loaded("import eyebright")


def test_asking_the_command_line_for_help_loads_nothing_heavy() -> None:
    code = "from eyebright.cli.main import run\nassert run(['train', '--help']) == 0"
    assert not {"torch", "numpy", "pandas", "timm", "torchvision", "matplotlib"} & loaded(code)


def test_training_needs_none_of_the_extras() -> None:
    extras = {"matplotlib", "jinja2", "fastcore", "sklearn", "IPython"}
    assert not extras & loaded("import eyebright.learner.learner, eyebright.inference.predictor, eyebright.data.block")
