"""Loading a model while another process replaces it: the old model or the new one, never parts of both."""

import hashlib
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from eyebright.errors import ArtifactError
from eyebright.inference.folder_format import EVALUATION
from eyebright.inference.model_folder import load_evaluation, load_manifest_and_evaluations
from eyebright.inference.runtimes.graph_file import hash_path, read_graph, write_graph
from eyebright.io.atomic import write_atomically
from support.replacing import checkpoint_numbers, evaluation_numbers, load_beside_writer, model_numbers, write_model

LOADS = 300  # ``python -m support.replacing FOLDER 10000`` is the long version


@pytest.mark.parametrize("load", [model_numbers, evaluation_numbers, checkpoint_numbers])
def test_what_is_loaded_while_it_is_replaced_is_never_a_mixture(
    tmp_path: Path, load: Callable[[Path], set[float]]
) -> None:
    outcomes = load_beside_writer(tmp_path / "model", LOADS, load)
    assert sum(outcomes.values()) == LOADS
    assert set(outcomes) <= {"model 0.25", "model 0.75"}


def test_an_evaluation_that_stays_damaged_is_an_error_after_a_second(tmp_path: Path) -> None:
    write_model(tmp_path, 0.25)
    (tmp_path / EVALUATION).write_bytes(b"damaged")
    start = time.perf_counter()
    with pytest.raises(ArtifactError, match="is damaged, or belongs to another model: its hash is not that"):
        load_evaluation(tmp_path)
    assert 0.5 < time.perf_counter() - start < 5


def test_the_report_of_a_folder_never_mixes_the_facts_of_one_model_with_the_evaluation_of_another(
    tmp_path: Path,
) -> None:
    def load(folder: Path) -> set[float]:
        manifest, evaluations = load_manifest_and_evaluations(folder)
        return {float(manifest.decision.thresholds.values), *evaluations["valid"].outputs.flatten().tolist()}  # type: ignore[arg-type]

    assert set(load_beside_writer(tmp_path / "model", LOADS, load)) <= {"model 0.25", "model 0.75"}


def test_a_graph_whose_hash_is_about_to_be_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_graph(path, b"old")
    path.write_bytes(b"new")  # as between the two renames of a writer
    line = hashlib.sha256(b"new").hexdigest()
    write = partial(write_atomically, hash_path(path), lambda file: file.write_text(f"{line}  model.onnx\n"))
    writer = threading.Timer(0.2, write)
    writer.start()
    assert read_graph(path) == b"new"
    writer.join()
    path.write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match="is damaged: its hash is not that in model.onnx.sha256"):
        read_graph(path)
