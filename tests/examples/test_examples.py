"""The examples: all scripts and the code of all notebooks run on small images; the committed notebooks are valid.

Uses small images in the layouts of the real datasets, and a small timm network with random weights. The outputs in the
notebooks are from real images; the tests only check that their code runs.
"""

import ast
import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

import eyebright
from eyebright.inference.predictor import Predictor
from seeds.test_seeds import SMALLER_SIZES, run
from support.learners import TINY_ARCH

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MAX_BYTES = 300 * 1024

QUICK = ["--size", "32", "--arch", TINY_ARCH, "--no-pretrained", "--epochs", "1", "--freeze-epochs", "1", "--bs", "16"]
SCRIPTS = {
    "pets.py": ["--count", "60", *QUICK],
    "several_labels.py": ["--count", "120", *QUICK],
    "points.py": ["--height", "24", "--epochs", "1"],
}
DATASETS = {"pets.py": "oxford-iiit-pet/images", "several_labels.py": "pascal_2007", "points.py": "biwi_head_pose"}
SIZES = {**SMALLER_SIZES, "120": "24", "160": "32", "256": "48"}
"""Image sizes in the cells, and their replacements in the test."""
QUICKER = {'"tf_efficientnet_lite0"': "resnet18", "lr_find()": "lr_find(num_it=20)", "fine_tune(15,": "fine_tune(2,"}
"""Other replacements; `run` replaces ResNets by the small network."""

# ------------------------------------------------------------------------------- scripts


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_trains_and_the_saved_model_predicts_the_same(
    script: str,
    small_datasets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = run_script(script, small_datasets, tmp_path / "model", monkeypatch)
    output = capsys.readouterr().out
    assert code == 0, output
    assert output.splitlines()[-1].endswith(": True")
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_exits_with_1_if_the_saved_model_predicts_something_else(
    script: str,
    small_datasets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    load = eyebright.load_predictor

    def damaged(folder: Path) -> Predictor:
        intact = load(folder)
        for parameter in intact.model.parameters():
            parameter.data.mul_(1.5)
        return Predictor(intact.manifest, intact.model)

    monkeypatch.setattr(eyebright, "load_predictor", damaged)
    assert run_script(script, small_datasets, tmp_path / "model", monkeypatch) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith(": False")


@pytest.mark.parametrize(("script", "name"), [("pets.py", "PETS"), ("several_labels.py", "PASCAL_2007")])
def test_without_a_folder_the_script_uses_untar_data(
    script: str, name: str, small_datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls: list[str] = []

    def untar_data(url: str) -> Path:
        urls.append(url)
        raise FileNotFoundError("stopped by the test")

    monkeypatch.setattr(eyebright, "untar_data", untar_data)
    monkeypatch.setattr(sys, "argv", [script])
    with pytest.raises(FileNotFoundError, match="stopped by the test"):
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    assert urls == [getattr(eyebright.URLs, name)]


def test_a_subset_of_pets_is_balanced_over_the_breeds() -> None:
    pets = runpy.run_path(str(EXAMPLES / "pets.py"))
    breed, balanced_subset = pets["breed"], pets["balanced_subset"]
    files = [
        Path(f"{name}_{i}.jpg") for name, count in (("Bombay", 5), ("beagle", 2), ("pug", 4)) for i in range(count)
    ]
    assert sorted(map(breed, balanced_subset(files, 8))) == ["Bombay"] * 3 + ["beagle"] * 2 + ["pug"] * 3
    assert balanced_subset(files, None) != files
    assert sorted(balanced_subset(files, None)) == sorted(files)


def run_script(script: str, datasets: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The exit code."""
    monkeypatch.setattr(sys, "argv", [script, str(datasets / DATASETS[script]), "--out", str(out), *SCRIPTS[script]])
    with pytest.raises(SystemExit) as exit_info:
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    return exit_info.value.code


# ------------------------------------------------------------------------------- notebooks


def test_each_example_script_has_a_notebook() -> None:
    assert {path.stem for path in NOTEBOOKS} == {Path(script).stem for script in SCRIPTS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_is_valid(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_was_executed_once_in_order_without_errors(path: Path) -> None:
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error", cell["source"]
            assert output.get("name") != "stderr", output


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_has_figures_and_is_small(path: Path) -> None:
    kinds = [kind for cell in code_cells(path) for output in cell["outputs"] for kind in output.get("data", {})]
    assert sum(kind.startswith("image/") for kind in kinds) >= 3
    assert path.stat().st_size <= MAX_BYTES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_contains_no_absolute_paths(path: Path) -> None:
    text = "\n".join(filter(None, (text_of(cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])))
    assert re.findall(r"(?<![\w.])/(?:tmp|home|root|work|usr|opt|mnt|var|Users)\b[^\s'\"]*|\b[A-Z]:\\\S*", text) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_of_the_notebook_are_plain_python(path: Path) -> None:
    for cell in code_cells(path):
        ast.parse("".join(cell["source"]))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_code_of_the_notebook_runs_on_small_images(
    path: Path, small_datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYEBRIGHT_DATA", str(small_datasets))
    monkeypatch.chdir(tmp_path)  # the notebooks save models in the current folder
    cells = "".join(f"# %%\n{''.join(cell['source'])}\n" for cell in code_cells(path))
    smaller = re.sub(r"\b(\d{3})\b", lambda size: SIZES.get(size[1], size[1]), cells)
    for slow, quick in QUICKER.items():
        smaller = smaller.replace(slow, quick)
    run(smaller)


def code_cells(path: Path) -> list[dict[str, Any]]:
    """The code cells of the notebook."""
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def text_of(cell: dict[str, Any]) -> str:
    """The source and the text outputs of a cell."""
    texts = ["".join(cell["source"])]
    for output in cell.get("outputs", []):
        texts.append("".join(output.get("text", "")))
        texts += ["".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(texts)
