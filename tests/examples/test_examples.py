"""The examples on small images: every script to its end, and every notebook as it was committed and once more anew.

Small images in the layouts of the real sets, and timm's small network, which needs no weights. The notebooks' outputs
came from real ones; that they can be made again is what running their code shows.
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
from seeds.test_seeds import SMALLER, run
from support.learners import SMALL

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
LARGEST = 300 * 1024

QUICK = ["--size", "32", "--arch", SMALL, "--no-pretrained", "--epochs", "1", "--freeze-epochs", "1", "--bs", "16"]
SCRIPTS = {
    "pets.py": ["--images", "60", *QUICK],
    "several_labels.py": ["--images", "120", *QUICK],
    "points.py": ["--height", "24", "--epochs", "1"],
}
SETS = {"pets.py": "oxford-iiit-pet/images", "several_labels.py": "pascal_2007", "points.py": "biwi_head_pose"}
SIZES = {**SMALLER, "120": "24", "160": "32", "256": "48"}
"""What the cells say of sizes, and what they say for small images."""
QUICKER = {'"tf_efficientnet_lite0"': "resnet18", "lr_find()": "lr_find(num_it=20)", "fine_tune(15,": "fine_tune(2,"}
"""What else the cells say, and what they say here; `run` takes the functions of ResNets for the small network."""

# ------------------------------------------------------------------------------- scripts


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_trains_saves_and_finds_that_the_saved_model_answers_alike(
    script: str, small_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_script(script, small_sets, tmp_path / "model", monkeypatch)
    said = capsys.readouterr().out
    assert code == 0, said
    assert said.splitlines()[-1].endswith(": True")
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_fails_when_the_saved_model_answers_otherwise(
    script: str, small_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = eyebright.load_predictor

    def damaged(folder: Path) -> Predictor:
        whole = load(folder)
        for parameter in whole.model.parameters():
            parameter.data.mul_(1.5)
        return Predictor(whole.manifest, whole.model)

    monkeypatch.setattr(eyebright, "load_predictor", damaged)
    assert run_script(script, small_sets, tmp_path / "model", monkeypatch) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith(": False")


@pytest.mark.parametrize(("script", "name"), [("pets.py", "PETS"), ("several_labels.py", "PASCAL_2007")])
def test_without_a_folder_the_script_takes_the_set_of_the_book(
    script: str, name: str, small_sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def untar_data(url: str) -> Path:
        asked.append(url)
        raise FileNotFoundError("enough seen")

    monkeypatch.setattr(eyebright, "untar_data", untar_data)
    monkeypatch.setattr(sys, "argv", [script])
    with pytest.raises(FileNotFoundError, match="enough seen"):
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    assert asked == [getattr(eyebright.URLs, name)]


def test_few_images_of_pets_are_spread_evenly_over_the_breeds() -> None:
    names = runpy.run_path(str(EXAMPLES / "pets.py"))
    files = [
        Path(f"{breed}_{i}.jpg") for breed, count in (("Bombay", 5), ("beagle", 2), ("pug", 4)) for i in range(count)
    ]
    chosen = [names["breed"](file) for file in names["evenly"](files, 8)]
    assert sorted(chosen) == ["Bombay"] * 3 + ["beagle"] * 2 + ["pug"] * 3
    assert names["evenly"](files, None) != files
    assert sorted(names["evenly"](files, None)) == sorted(files)


def run_script(script: str, sets: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The exit code."""
    monkeypatch.setattr(sys, "argv", [script, str(sets / SETS[script]), "--out", str(out), *SCRIPTS[script]])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    return ended.value.code


# ------------------------------------------------------------------------------- notebooks


def test_there_is_a_notebook_for_each_script_of_a_chapter() -> None:
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
def test_the_notebook_shows_figures_and_is_small(path: Path) -> None:
    kinds = [kind for cell in code_cells(path) for output in cell["outputs"] for kind in output.get("data", {})]
    assert sum(kind.startswith("image/") for kind in kinds) >= 3
    assert path.stat().st_size <= LARGEST


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_names_no_place_of_a_machine(path: Path) -> None:
    shown = "\n".join(filter(None, (text_of(cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])))
    assert re.findall(r"(?<![\w.])/(?:tmp|home|root|work|usr|opt|mnt|var|Users)\b[^\s'\"]*|\b[A-Z]:\\\S*", shown) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_of_the_notebook_are_plain_python(path: Path) -> None:
    for cell in code_cells(path):
        ast.parse("".join(cell["source"]))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_code_of_the_notebook_runs_on_other_images(
    path: Path, small_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYEBRIGHT_DATA", str(small_sets))
    monkeypatch.chdir(tmp_path)  # models are saved there
    cells = "".join(f"# %%\n{''.join(cell['source'])}\n" for cell in code_cells(path))
    smaller = re.sub(r"\b(\d{3})\b", lambda size: SIZES.get(size[1], size[1]), cells)
    for slow, quick in QUICKER.items():
        smaller = smaller.replace(slow, quick)
    run(smaller)


def code_cells(path: Path) -> list[dict[str, Any]]:
    """The notebook's cells of code."""
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def text_of(cell: dict[str, Any]) -> str:
    """Everything in a cell that can be read: source, and outputs without images."""
    texts = ["".join(cell["source"])]
    for output in cell.get("outputs", []):
        texts.append("".join(output.get("text", "")))
        texts += ["".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(texts)
