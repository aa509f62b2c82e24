"""The page about predicting names every file that can be in a model folder."""

import re

import pytest

from eyebright.export.files import NARROW, OPENVINO, OPENVINO_FIXED, TORCH
from eyebright.export.page import PAGE
from eyebright.export.record import FIXED, PREPROCESS, WHOLE
from eyebright.inference import folder_format
from eyebright.models.timm_files import BACKBONE, CONFIG
from eyebright.workflow.card import CARD
from eyebright.workflow.report import HISTORY, NUMBERS, REPORT
from eyebright.workflow.saved_options import OPTIONS_FILE
from eyebright.workflow.train_model import CHECKPOINT
from support.pages import ROOT

FOLDER = {value for name, value in vars(folder_format).items() if name.isupper() and isinstance(value, str)}
EXPORTS = {WHOLE, FIXED, *NARROW.values(), OPENVINO, OPENVINO_FIXED, TORCH, PAGE, PREPROCESS}
REPORTS = {CARD, HISTORY, NUMBERS, REPORT, OPTIONS_FILE, CHECKPOINT, BACKBONE, CONFIG}


@pytest.fixture(scope="module")
def named() -> set[str]:
    """The names in the first column of the tables of files."""
    text = (ROOT / "docs" / "guides" / "predict.md").read_text(encoding="utf-8")
    [part] = re.findall(r"## The folder\n(.*?)\n## ", text, re.DOTALL)
    cells = [line.split(" | ")[0] for line in part.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`([\w.]+\.\w+)`", " ".join(cells)))


def test_every_file_that_a_command_writes_into_a_model_folder_is_on_the_page(named: set[str]) -> None:
    assert {"model.safetensors", "manifest.json", "network.onnx", "export.json"} <= FOLDER
    assert (FOLDER | EXPORTS | REPORTS) - named == set()
    assert named - (FOLDER | EXPORTS | REPORTS) == {"network.onnx.sha256"}  # its name is made of the graph's
