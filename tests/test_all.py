"""The names for notebooks, ``eyebright.all``: those that the fastai book's cells use, and what they do."""

import ast
import builtins
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

import eyebright
from eyebright import all as notebook
from eyebright._deprecate import renamed

BOOK = """
    CategoryBlock DataBlock F FuncSplitter ImageBlock ImageDataLoaders L MultiCategoryBlock Normalize PILImage Path
    PointBlock RandomResizedCrop RandomSplitter RegexLabeller Resize URLs accuracy_multi aug_transforms cnn_learner
    error_rate get_image_files imagenet_stats math nn np partial pd plot_function plt resnet18 resnet34 resnet50
    sigmoid_range tensor to_cpu torch untar_data using_attr vision_learner
    APScoreMulti ClassificationInterpretation CutMix EarlyStoppingCallback F1ScoreMulti HammingLossMulti Interpretation
    LabelSmoothingCrossEntropy MixUp PadMode ResizeMethod RocAucMulti SaveModelCallback download_images get_c minimum
    resize_images resnet101 slide steep valley verify_images
""".split()  # noqa: SIM905  # easier to read


def test_it_has_every_name_that_the_book_s_cells_use() -> None:
    assert set(BOOK) <= set(notebook.__all__)


LEFT_OUT = """
    AbstentionCurve Check HeatMap LabelConfusion MetricInterval NextAction PredictionSets Promise PromiseResult
    Slice Source Suspect TrainOptions WeakSegment abstention_curves check_export check_source evaluate_model
    export_onnx_files export_openvino_files export_page export_torch_file find_slices find_suspects
    find_weak_segments fit_calibration fit_sets keep_promise label_confusions metric_intervals next_action
    parse_promise push_to_hub read_export read_source split_source teaching_order train_model
""".split()  # noqa: SIM905  # what no name of fastai does: whole trainings, sources, analyses, exports


def test_it_has_every_public_name_of_the_package_but_those_that_are_left_out() -> None:
    assert sorted(set(eyebright.__all__) - set(notebook.__all__)) == LEFT_OUT


def test_the_names_are_sorted_and_exist() -> None:
    assert notebook.__all__ == sorted(set(notebook.__all__))
    assert all(getattr(notebook, name) is not None for name in notebook.__all__)


def test_everything_that_it_imports_from_the_package_is_a_name_for_notebooks() -> None:
    tree = ast.parse(Path(notebook.__file__).read_text(encoding="utf-8"))
    ours = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module.startswith("eyebright.")]
    names = {alias.name for node in ours if "._" not in node.module for alias in node.names}
    # A star import must not hide Pillow's Image; `verify` is behind `verify_images`.
    assert names - {"Image", "verify"} <= set(notebook.__all__)


def test_no_name_shadows_a_builtin_and_only_f_and_l_have_one_letter() -> None:
    assert not set(notebook.__all__) & set(dir(builtins))
    assert {name for name in notebook.__all__ if len(name) == 1} == {"L", "F"}
    assert not [name for name in notebook.__all__ if name.startswith("_")]


def test_a_name_that_is_in_both_is_the_same_object() -> None:
    for name in set(notebook.__all__) & set(eyebright.__all__):
        assert getattr(notebook, name) is getattr(eyebright, name)


def test_an_old_name_works_and_warns_at_the_caller_s_line_with_the_new_name() -> None:
    def vision(number: int, *, more: int = 0) -> int:
        return number + more

    old = renamed("cnn", vision)
    with pytest.warns(FutureWarning, match="cnn has been renamed to vision") as caught:
        assert old(2, more=1) == 3
    assert Path(caught[0].filename) == Path(__file__)
    assert old.__name__ == "cnn"


def test_cnn_learner_works_in_a_notebook_that_turns_deprecation_warnings_into_errors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        warnings.simplefilter("error", PendingDeprecationWarning)
        with (
            pytest.warns(FutureWarning, match="cnn_learner has been renamed to vision_learner"),
            pytest.raises(TypeError),
        ):
            notebook.cnn_learner()  # pyright: ignore[reportCallIssue]


def test_tensor_takes_lists_arrays_and_columns_and_turns_float64_into_float32() -> None:
    for values in (
        [1.0, 2.0],
        (1.0, 2.0),
        np.array([1.0, 2.0]),
        pd.Series([1.0, 2.0]),
        torch.tensor([1.0, 2.0]).double(),
    ):
        assert torch.equal(notebook.tensor(values), torch.tensor([1.0, 2.0]))
    assert torch.equal(notebook.tensor(1, 2, 3), torch.tensor([1, 2, 3]))
    assert notebook.tensor([np.float64(0.5), 2]).dtype == torch.float32
    assert notebook.tensor([[True], [False]]).dtype == torch.bool
    assert notebook.tensor(np.array([7], dtype=np.uint16)).dtype == torch.float32


def test_to_cpu_keeps_the_structure_of_a_batch() -> None:
    moved = notebook.to_cpu(([torch.zeros(1), None], {"name": torch.ones(1), "path": "a.jpg"}))
    assert isinstance(moved, tuple)
    assert [type(part) for part in moved] == [list, dict]
    assert moved[1]["path"] == "a.jpg"
    assert torch.equal(moved[0][0], torch.zeros(1))
    assert moved[0][1] is None


def test_sigmoid_range_lies_between_its_bounds() -> None:
    values = notebook.sigmoid_range(torch.tensor([-100.0, -1.0, 0.0, 1.0, 100.0]), -1, 1)
    assert torch.allclose(values, torch.tensor([-1.0, -0.462117, 0.0, 0.462117, 1.0]), atol=1e-6)  # gold g03


def test_models_holds_torchvision_s_functions() -> None:
    import torchvision

    for name in ("resnet18", "resnet34", "resnet50"):
        assert getattr(notebook.models, name) is getattr(notebook, name) is getattr(torchvision.models, name)


def test_verify_images_returns_the_files_that_cannot_be_read_as_a_list_of_the_book(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    PIL.Image.new("RGB", (4, 4)).save(good)
    bad.write_bytes(good.read_bytes()[:30])
    failed = notebook.verify_images([good, bad])
    assert list(failed) == [bad]
    failed.map(Path.unlink)  # as in chapter 2
    assert [path.name for path in tmp_path.iterdir()] == ["good.png"]


def test_the_names_of_resizing_are_values_that_resize_takes() -> None:
    for method in vars(notebook.ResizeMethod).values():
        for pad_mode in vars(notebook.PadMode).values():
            assert notebook.Resize(8, method, pad_mode=pad_mode).method == method


def test_path_ls_lists_a_folder(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in tmp_path.ls().sorted()] == ["a.txt", "b.txt"]  # type: ignore[attr-defined]


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_without_fastcore_the_error_names_the_pip_command() -> None:
    code = """
import sys
sys.modules["fastcore.foundation"] = None
try:
    import eyebright.all
except ImportError as error:
    print(error)
"""
    assert "pip install 'eyebright[notebook]'" in python(code)


@pytest.mark.slow
def test_nothing_else_imports_fastcore() -> None:
    code = (
        "import sys, eyebright.learner.vision_learner, eyebright.workflow.train_model; print('fastcore' in sys.modules)"
    )
    assert python(code) == "False\n"
