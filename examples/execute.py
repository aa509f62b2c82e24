"""Executes the notebooks in this folder in place, with small output images and without paths of this machine.

    python examples/execute.py                    # all; EYEBRIGHT_DATA is the folder with the datasets
    python examples/execute.py pets.ipynb

Needs nbclient (``pip install nbclient``). A notebook whose code raises an error is not changed.
"""

import argparse
import base64
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import PIL.Image
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
JPEG_QUALITY = 75


def main() -> None:
    """Executes the given notebooks, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", type=Path, nargs="*", help="(default: all in this folder)")
    for path in parser.parse_args().notebooks or sorted(HERE.glob("*.ipynb")):
        execute(path)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")


def execute(path: Path) -> None:
    """Runs all cells in order in a temporary folder, and writes the notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error.
    """
    notebook: Any = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": folder}}).execute()
        replacements = {str(Path(folder).resolve()): ".", **data_folder()}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            clean_output(output, replacements)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def data_folder() -> dict[str, str]:
    """The path of the datasets and its replacement; empty if EYEBRIGHT_DATA is not set."""
    folder = os.environ.get("EYEBRIGHT_DATA")
    return {str(Path(folder).resolve()): "$EYEBRIGHT_DATA"} if folder else {}


def clean_output(output: Any, replacements: dict[str, str]) -> None:
    """Converts images to JPEG if that is smaller, and replaces paths of this machine."""
    output.get("metadata", {}).clear()
    if "text" in output:
        output["text"] = replace_all(output["text"], replacements)
    data = output.get("data", {})
    if "image/png" in data:
        png = base64.b64decode(data["image/png"])
        with io.BytesIO() as jpeg:
            PIL.Image.open(io.BytesIO(png)).convert("RGB").save(jpeg, "JPEG", quality=JPEG_QUALITY)
            if jpeg.tell() < len(png):
                del data["image/png"]
                data["image/jpeg"] = base64.b64encode(jpeg.getvalue()).decode()
    for mime_type in data:
        if mime_type.startswith("text/"):
            data[mime_type] = replace_all(data[mime_type], replacements)


def replace_all(text: str, replacements: dict[str, str]) -> str:
    """The text after all replacements."""
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


if __name__ == "__main__":
    main()
