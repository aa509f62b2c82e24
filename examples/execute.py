"""The notebooks beside this file, executed anew: small images, and no path of this machine.

    python examples/execute.py                    # all of them; EYEBRIGHT_DATA names the folder of data sets
    python examples/execute.py pets.ipynb

Needs nbclient (``pip install nbclient``). A notebook whose code fails is left as it was.
"""

import argparse
import base64
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import PIL.Image
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
JPEG_QUALITY = 75


def main() -> None:
    """Execute what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", type=Path, nargs="*", help="(default: all beside this file)")
    for path in parser.parse_args().notebooks or sorted(HERE.glob("*.ipynb")):
        execute(path)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")


def execute(path: Path) -> None:
    """Run every cell in order, in a folder that is thrown away, and write the notebook with its outputs."""
    notebook: Any = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": folder}}).execute()
        replaced = {str(Path(folder).resolve()): ".", **data_folder()}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            tidy(output, replaced)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def data_folder() -> dict[str, str]:
    """What to write instead of the folder of data sets: how `untar_data` was told of it."""
    named = os.environ.get("EYEBRIGHT_DATA")
    return {str(Path(named).resolve()): "$EYEBRIGHT_DATA"} if named else {}


def tidy(output: Any, replaced: dict[str, str]) -> None:
    """Photographs as JPEG where that is smaller, and paths that mean something elsewhere."""
    output.get("metadata", {}).clear()
    if "text" in output:
        output["text"] = without(output["text"], replaced)
    data = output.get("data", {})
    if "image/png" in data:
        png = base64.b64decode(data["image/png"])
        with io.BytesIO() as jpeg:
            PIL.Image.open(io.BytesIO(png)).convert("RGB").save(jpeg, "JPEG", quality=JPEG_QUALITY)
            if jpeg.tell() < len(png):
                del data["image/png"]
                data["image/jpeg"] = base64.b64encode(jpeg.getvalue()).decode()
    for kind in text_kinds(data):
        data[kind] = without(data[kind], replaced)


def text_kinds(data: dict[str, Any]) -> Iterator[str]:
    """Which of an output's forms are text."""
    return (kind for kind in data if kind.startswith("text/"))


def without(text: str, replaced: dict[str, str]) -> str:
    """The text with other words for some paths."""
    for path, instead in replaced.items():
        text = text.replace(path, instead)
    return text


if __name__ == "__main__":
    main()
