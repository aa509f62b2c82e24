"""The script that executes the notebooks, on a notebook of three cells."""

import base64
import io
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")

EXECUTE = Path(__file__).resolve().parents[2] / "examples" / "execute.py"


@pytest.fixture
def script() -> dict[str, Any]:
    """The names of the script."""
    return runpy.run_path(str(EXECUTE))


def test_a_notebook_is_executed_in_place_without_the_paths_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYEBRIGHT_DATA", str(tmp_path / "sets"))
    cells = ["import os\n6 * 7", "print(os.environ['EYEBRIGHT_DATA'] + '/pets')", "open('left', 'w').close()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, tmp_path / "one.ipynb")

    monkeypatch.setattr(sys, "argv", ["execute.py", str(tmp_path / "one.ipynb")])
    runpy.run_path(str(EXECUTE), run_name="__main__")
    done = nbformat.read(tmp_path / "one.ipynb", as_version=4)
    assert [cell.execution_count for cell in done.cells] == [1, 2, 3]
    assert done.cells[0].outputs[0]["data"]["text/plain"] == "42"
    assert done.cells[1].outputs[0]["text"] == "$EYEBRIGHT_DATA/pets\n"
    assert not (EXECUTE.parent / "left").exists()


def test_a_notebook_that_fails_stays_as_it_was(tmp_path: Path, script: dict[str, Any]) -> None:
    path = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        script["execute"](path)
    assert path.read_bytes() == before


def test_photographs_become_jpeg_and_drawings_stay_png(script: dict[str, Any]) -> None:
    grain = np.random.default_rng(0).normal(120, 20, (120, 120, 1)).clip(0, 255).astype(np.uint8)
    plain = np.full((120, 120, 3), 255, dtype=np.uint8)
    for pixels, kind in ((grain.repeat(3, axis=2), "image/jpeg"), (plain, "image/png")):
        with io.BytesIO() as png:
            PIL.Image.fromarray(pixels).save(png, "PNG")
            output = {"data": {"image/png": base64.b64encode(png.getvalue()).decode()}, "metadata": {"x": 1}}
        script["tidy"](output, {})
        assert list(output["data"]) == [kind]
        assert output["metadata"] == {}
        shown = np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(output["data"][kind]))).convert("RGB"))
        assert np.abs(shown.astype(int) - pixels).mean() < 8
