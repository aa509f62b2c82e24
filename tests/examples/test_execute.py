"""The script that executes the notebooks."""

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
    """The functions of the script by name."""
    return runpy.run_path(str(EXECUTE))


def test_a_notebook_is_executed_in_place_and_paths_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYEBRIGHT_DATA", str(tmp_path / "sets"))
    cells = ["import os\n6 * 7", "print(os.environ['EYEBRIGHT_DATA'] + '/pets')", "open('new', 'w').close()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, tmp_path / "one.ipynb")

    monkeypatch.setattr(sys, "argv", ["execute.py", str(tmp_path / "one.ipynb")])
    runpy.run_path(str(EXECUTE), run_name="__main__")
    done = nbformat.read(tmp_path / "one.ipynb", as_version=4)
    assert [cell.execution_count for cell in done.cells] == [1, 2, 3]
    assert done.cells[0].outputs[0]["data"]["text/plain"] == "42"
    assert done.cells[1].outputs[0]["text"] == "$EYEBRIGHT_DATA/pets\n"
    assert not (EXECUTE.parent / "new").exists()


def test_a_notebook_with_an_error_is_not_changed(tmp_path: Path, script: dict[str, Any]) -> None:
    path = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        script["execute"](path)
    assert path.read_bytes() == before


def test_images_become_jpeg_only_if_that_is_smaller(script: dict[str, Any]) -> None:
    noise = np.random.default_rng(0).normal(120, 20, (120, 120, 1)).clip(0, 255).astype(np.uint8)
    white = np.full((120, 120, 3), 255, dtype=np.uint8)
    for pixels, mime_type in ((noise.repeat(3, axis=2), "image/jpeg"), (white, "image/png")):
        with io.BytesIO() as png:
            PIL.Image.fromarray(pixels).save(png, "PNG")
            output = {"data": {"image/png": base64.b64encode(png.getvalue()).decode()}, "metadata": {"x": 1}}
        script["clean_output"](output, {})
        assert list(output["data"]) == [mime_type]
        assert output["metadata"] == {}
        decoded = np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(output["data"][mime_type]))).convert("RGB"))
        assert np.abs(decoded.astype(int) - pixels).mean() < 8
