"""Predictions from a model folder: the same for every runtime, one image or many."""

import copy
import hashlib
import multiprocessing
import pickle
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from eyebright._choices import RuntimeName
from eyebright.errors import ArtifactError, InputError, MissingExtraError
from eyebright.image.canonical import LIBRARY_PIXELS, canonical_pixels, fit_size, place_center
from eyebright.image.image import Image
from eyebright.inference.folder_format import GRAPH
from eyebright.inference.load_predictor import load_predictor, save_onnx
from eyebright.inference.predictor import Predictor
from eyebright.inference.runtimes import onnx_runtime, select as choose
from eyebright.inference.runtimes.graph_file import hash_path, read_graph, write_graph
from eyebright.models import saved
from eyebright.models.build import ImageModel
from eyebright.transforms.spatial import Resize
from eyebright.types import Size
from support.in_process import activated
from support.models import CLASSES, SIZE, model_folder, small_graph, small_model


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for i, path in enumerate(paths):
        PIL.Image.fromarray(random.integers(0, 256, (40 + 5 * i, 60, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "plain")


@pytest.fixture
def with_graph(tmp_path: Path) -> Path:
    folder = model_folder(tmp_path / "with graph")
    write_graph(folder / GRAPH, small_graph())
    return folder


def scores(predictor: Predictor, images: object, **options: int) -> torch.Tensor:
    return torch.stack([one.activated for one in predictor.predict(images, **options)])


def faster(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the measured times of the graph, which depend on the machine."""
    monkeypatch.setattr(onnx_runtime.GraphMetadata, "onnx_is_faster", which == "onnx")


def test_every_runtime_gives_the_probabilities_of_the_model(with_graph: Path, photos: list[Path]) -> None:
    unchanged = Predictor(load_predictor(with_graph).manifest, small_model(), device="cpu")
    assert str(unchanged.runtime) == "torch, float32: the model is used unchanged"
    expected = scores(unchanged, photos)
    torch.testing.assert_close(expected.sum(1), torch.ones(len(photos)))
    for runtime in ("torch", "onnx"):
        predictor = load_predictor(with_graph, runtime=runtime, device="cpu")
        assert predictor.runtime.name == runtime
        torch.testing.assert_close(scores(predictor, photos), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{"bs": 1}, {"bs": 3}, {"bs": 100}, {"bs": 2, "workers": 5}])
def test_predictions_are_in_the_order_of_the_images_in_any_batches(
    plain: Path, photos: list[Path], options: dict[str, int]
) -> None:
    predictor = load_predictor(plain, device="cpu")
    alone = torch.cat([scores(predictor, path) for path in photos])
    together = predictor.predict(photos, **options)
    assert [one.path for one in together] == [str(path) for path in photos]
    torch.testing.assert_close(scores(predictor, photos, **options), alone, rtol=0, atol=1e-5)
    assert [one.decoded for one in together] == [CLASSES[i] for i in alone.argmax(1)]


def test_the_repr_of_a_predictor_has_its_classes_and_its_runtime(plain: Path) -> None:
    classes = "CategoryBlock with 3 classes: 'blue', 'green', 'red'"
    assert (
        repr(load_predictor(plain, device="cpu", runtime="torch"))
        == f"Predictor: {classes}; torch, float32: as requested"
    )


def test_an_unreadable_image_is_listed_and_the_others_are_predicted(plain: Path, photos: list[Path]) -> None:
    photos[2].write_bytes(b"not an image")
    predictor = load_predictor(plain, device="cpu")
    predictions = predictor.predict(photos, bs=2)
    assert [one.path for one in predictions] == [str(path) for path in photos if path != photos[2]]
    assert list(predictions.skipped) == [str(photos[2])]
    assert list(predictor.predict(photos[2]).skipped) == [str(photos[2])]


def test_images_of_different_sizes_are_predicted_one_by_one(tmp_path: Path, photos: list[Path]) -> None:
    predictor = load_predictor(model_folder(tmp_path / "any size", preprocessing=()), device="cpu")
    torch.testing.assert_close(
        scores(predictor, photos), torch.cat([scores(predictor, path) for path in photos]), rtol=0, atol=1e-5
    )


def test_the_faster_runtime_is_chosen_and_says_why(with_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster("onnx", monkeypatch)
    assert str(load_predictor(with_graph, device="cpu").runtime).startswith("onnx, float32: ONNX Runtime is faster: ")
    faster("torch", monkeypatch)
    assert str(load_predictor(with_graph, device="cpu").runtime).startswith("torch, float32: ONNX Runtime is slower: ")


def test_with_a_graph_no_network_is_built_until_it_is_needed(
    with_graph: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    faster("onnx", monkeypatch)
    built: list[str] = []
    made = saved.build_saved
    monkeypatch.setattr(
        "eyebright.inference.load_predictor.build_saved",
        lambda *given, **how: (built.append("it"), made(*given, **how))[1],
    )
    predictor = load_predictor(with_graph, device="cpu")
    predictor.predict(photos)
    assert not built
    expected = small_model().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in predictor.model.state_dict().items())
    assert built == ["it"]


def test_a_graph_of_other_weights_is_not_used(with_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_folder(with_graph, seed=1)
    predictor = load_predictor(with_graph, device="cpu")
    assert str(predictor.runtime) == (
        "torch, float32: network.onnx was exported from other weights; export it again with save_onnx"
    )
    exported: list[ImageModel] = []
    monkeypatch.setattr(choose, "export_onnx", lambda model, *_, **__: (exported.append(model), small_graph())[1])
    assert "exported for this run" in load_predictor(with_graph, runtime="onnx").runtime.why
    expected = small_model(seed=1).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in exported[0].state_dict().items())


def test_a_saved_graph_is_in_the_folder_and_is_found(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no network.onnx" in load_predictor(plain, device="cpu").runtime.why
    asked: list[object] = []
    monkeypatch.setattr(
        "eyebright.inference.load_predictor.export_onnx",
        lambda *given, **how: (asked.append(given[1]), small_graph())[1],
    )
    assert save_onnx(plain) == plain / "network.onnx"
    assert asked == [SIZE]
    assert sorted(path.name for path in plain.iterdir()) == [
        "manifest.json", "model.safetensors", "network.onnx", "network.onnx.sha256",
    ]  # fmt: skip
    assert load_predictor(plain, runtime="onnx").runtime.why == "as requested"


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a bit is flipped": (lambda graph: flipped(graph, len(graph) // 2), "is damaged: its hash is not that in"),
    "weights are zero": (lambda graph: graph[:9000] + bytes(400) + graph[9400:], "is damaged: its hash is not that in"),
    "the end is missing": (lambda graph: graph[:1000], "is damaged: its hash is not that in"),
    "nothing is left": (lambda graph: b"", "is damaged: its hash is not that in"),
}


def flipped(graph: bytes, at: int) -> bytes:
    return graph[:at] + bytes([graph[at] ^ 64]) + graph[at + 1 :]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_graph_is_an_error_and_torch_answers_instead_where_it_may(
    damage: str, with_graph: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    faster("onnx", monkeypatch)
    change, says = DAMAGE[damage]
    (with_graph / GRAPH).write_bytes(change(small_graph()))
    assert_not_used(with_graph, photos, says)


def test_a_graph_without_a_hash_or_that_onnx_runtime_cannot_read_is_not_used(
    with_graph: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    faster("onnx", monkeypatch)
    hash_path(with_graph / GRAPH).unlink()
    assert_not_used(with_graph, photos, "cannot be checked, since network.onnx.sha256 is missing; export it")
    hash_path(with_graph / GRAPH).write_text("")
    assert_not_used(with_graph, photos, "cannot be checked, since network.onnx.sha256 is missing; export it")
    write_graph(with_graph / GRAPH, small_graph()[:1000])
    assert_not_used(with_graph, photos, "cannot be used: ")


def assert_not_used(folder: Path, photos: list[Path], says: str) -> None:
    with pytest.raises(ArtifactError, match=f"^'.*network.onnx' {says}[^\n]*$"):
        load_predictor(folder, device="cpu", runtime="onnx")
    predictor = load_predictor(folder, device="cpu")
    assert predictor.runtime.name == "torch"
    assert says in predictor.runtime.why
    expected = scores(Predictor(predictor.manifest, small_model(), device="cpu"), photos)
    torch.testing.assert_close(scores(predictor, photos), expected, rtol=0, atol=1e-5)


def test_the_hash_of_a_graph_is_that_of_sha256sum(tmp_path: Path) -> None:
    write_graph(tmp_path / GRAPH, b"graph")
    line = f"{hashlib.sha256(b'graph').hexdigest()}  network.onnx\n"
    assert (tmp_path / "network.onnx.sha256").read_text() == line


def test_without_onnxruntime_torch_is_used_and_the_reason_given(
    with_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    predictor = load_predictor(with_graph, device="cpu")
    assert predictor.runtime.name == "torch"
    assert "pip install 'eyebright[onnx]'" in predictor.runtime.why
    with pytest.raises(MissingExtraError, match=r"pip install 'eyebright\[onnx\]'"):
        load_predictor(with_graph, runtime="onnx")


def test_bfloat16_is_computed_by_torch(with_graph: Path, photos: list[Path]) -> None:
    predictor = load_predictor(with_graph, precision="bfloat16", device="cpu")
    assert str(predictor.runtime) == "torch, bfloat16: ONNX Runtime computes in float32, not in bfloat16"
    exact = scores(load_predictor(with_graph, runtime="torch", device="cpu"), photos)
    torch.testing.assert_close(scores(predictor, photos), exact, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "onx"}, r"unknown `runtime` 'onx'\. Did you mean 'onnx'\? Known: 'auto', 'torch', 'onnx'"),
        ({"precision": "bfloat"}, r"unknown `precision` 'bfloat'\. Did you mean 'bfloat16'\?"),
        ({"runtime": "onnx", "precision": "bfloat16"}, r"runtime='onnx' is not possible: .* not in bfloat16"),
        ({"runtime": "onnx", "device": "kitchen"}, r"cannot use the device 'kitchen'; there is 'cpu'"),
    ],
)
def test_runtime_options_that_are_not_possible_are_refused(plain: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_predictor(plain, **options)  # type: ignore[arg-type]


def test_onnx_runtime_is_refused_on_a_gpu(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "choose_device", lambda name: torch.device(name))
    with pytest.raises(InputError, match=r"runtime='onnx' is not possible: .* only on the CPU, not on 'cuda'"):
        load_predictor(plain, runtime="onnx", device="cuda")


def test_a_graph_needs_a_fixed_image_size(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "any size", preprocessing=())
    with pytest.raises(InputError, match="an ONNX graph needs a fixed image size"):
        save_onnx(folder)
    with pytest.raises(
        InputError,
        match="needs a fixed image size, but this model's preprocessing keeps different sizes; use runtime='torch'",
    ):
        load_predictor(folder, runtime="onnx")


@pytest.mark.parametrize("method", ["write_bytes", "write_text"])
def test_a_full_disk_leaves_the_old_graph(method: str, with_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyebright.inference.load_predictor.export_onnx", lambda *_, **__: b"new")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, method, full)
    with pytest.raises(ArtifactError, match=r"cannot save '.*network\.onnx': No space left on device"):
        save_onnx(with_graph)
    monkeypatch.undo()
    assert read_graph(with_graph / GRAPH) == small_graph()


@pytest.fixture
def large_photo(tmp_path: Path) -> Path:
    """A JPEG that its decoder can reduce by 8, with detail at every scale."""
    random = np.random.default_rng(3)
    blobs = sum(
        np.kron(random.normal(0, 60 / 2**i, (2**i * 4, 2**i * 5, 3)), np.ones((640 // 2**i, 640 // 2**i, 1)))
        for i in range(7)
    )
    path = tmp_path / "large.jpg"
    PIL.Image.fromarray((128 + blobs).clip(0, 255).astype(np.uint8)).save(path, quality=95)
    return path


def test_predictions_are_those_of_canonical_pixels(plain: Path, large_photo: Path) -> None:
    image = np.asarray(PIL.Image.open(large_photo))
    source = Size(*image.shape[:2])
    x = canonical_pixels(image, place_center(source, fit_size(source, SIZE, cover=True), SIZE))
    with torch.no_grad():
        expected = small_model()(torch.from_numpy(x).permute(2, 0, 1)[None]).softmax(1)
    torch.testing.assert_close(scores(load_predictor(plain, device="cpu"), large_photo), expected, rtol=0, atol=1e-5)


def test_fast_decode_is_close_and_legacy_models_are_always_read_so(
    plain: Path, large_photo: Path, tmp_path: Path
) -> None:
    exact, fast = (scores(load_predictor(plain, device="cpu", fast_decode=fast), large_photo) for fast in (False, True))
    assert not torch.equal(fast, exact)
    torch.testing.assert_close(fast, exact, rtol=0, atol=0.02)
    legacy = model_folder(tmp_path / "legacy", pixels_version=LIBRARY_PIXELS)
    old = [scores(load_predictor(legacy, device="cpu", fast_decode=fast), large_photo) for fast in (False, True)]
    assert torch.equal(*old)
    with_pillow = Image.create(large_photo).warped(Resize(SIZE).draw(Size(2560, 3200), None).warp)
    with torch.no_grad():
        expected = small_model()(torch.from_numpy(with_pillow).permute(2, 0, 1)[None]).softmax(1)
    torch.testing.assert_close(old[0], expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_graph_for_other_pixels_is_not_used(with_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster("onnx", monkeypatch)
    write_graph(with_graph / GRAPH, small_graph(LIBRARY_PIXELS))
    runtime = load_predictor(with_graph, device="cpu").runtime
    assert (
        str(runtime)
        == f"torch, float32: {GRAPH} was exported for preprocessing version 'legacy-1'; export it again with save_onnx"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_an_output_that_is_not_finite_is_an_error_whatever_computes_it(
    runtime: RuntimeName, value: float, with_graph: Path, photos: list[Path]
) -> None:
    predictor = load_predictor(with_graph, runtime=runtime, device="cpu")
    compute = predictor.runtime.run
    predictor.runtime = replace(
        predictor.runtime, run=lambda pixels: compute(pixels).index_fill(1, torch.tensor([0]), value)
    )
    with pytest.raises(ArtifactError, match="the outputs of the model for the image '.*0.png' are NaN or infinite"):
        predictor.predict(photos)


@pytest.mark.parametrize("options", [{"bs": 0}, {"bs": -1}, {"bs": "3"}, {"workers": 0}, {"workers": True}])
def test_a_count_that_is_no_count_is_an_error(plain: Path, options: dict[str, Any]) -> None:
    name, value = next(iter(options.items()))
    message = f"`{name}` must be a whole number from 1 to 1,000,000, got {value!r}"
    with pytest.raises(InputError, match=message):
        load_predictor(plain, device="cpu").predict([np.zeros((8, 8, 3), np.uint8)] * 2, **options)


def test_images_in_memory_that_cannot_be_read_are_named_by_their_position(plain: Path) -> None:
    found = load_predictor(plain, device="cpu").predict([b"x", np.zeros((8, 8, 3), np.uint8), b"y"])
    assert (len(found), list(found.skipped)) == (1, ["<bytes> 0", "<bytes> 2"])


@pytest.mark.parametrize("threads", [0, -3, 10**6])
def test_an_impossible_number_of_threads_is_an_error(plain: Path, threads: int) -> None:
    with pytest.raises(InputError, match="`threads` must be a whole number from 1 to 1,024"):
        load_predictor(plain, device="cpu", threads=threads)


def test_a_prediction_notes_16_bit_values_that_are_not_scaled(plain: Path, tmp_path: Path) -> None:
    twelve = tmp_path / "twelve.tif"
    PIL.Image.fromarray(np.full((40, 40), 4095, np.uint16)).save(twelve)
    found = load_predictor(plain, device="cpu").predict([twelve, twelve.read_bytes()])
    assert ["its largest 16-bit value is 4,095 of 65,535" in one.note for one in found] == [True, True]
    assert f"{twelve}: its largest 16-bit value is 4,095" in repr(found)


# ------------------------------------------------------------------ pickles and copies


@pytest.mark.slow
def test_a_predictor_can_be_given_to_another_process(plain: Path, photos: list[Path]) -> None:
    predictor = load_predictor(plain, device="cpu", fast_decode=True)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(activated, predictor, photos[:2]).result()
    torch.testing.assert_close(torch.tensor(there), scores(predictor, photos[:2]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("another", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_of_a_predictor_is_loaded_with_the_same_options_from_any_working_folder(
    another: Callable[[Predictor], Predictor],
    with_graph: Path,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    predictor = load_predictor(with_graph.name, device="cpu", runtime="onnx", threads=1, fast_decode=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    made = another(another(predictor))
    assert made is not predictor
    assert (str(made), made._pipeline.fast_decode) == (str(predictor), True)
    torch.testing.assert_close(scores(made, photos), scores(predictor, photos), rtol=0, atol=1e-6)


@pytest.mark.parametrize("changed", ["weights", "manifest", "deleted"])
def test_a_predictor_is_not_unpickled_as_another_model(changed: str, plain: Path) -> None:
    pickled = pickle.dumps(load_predictor(plain, device="cpu"))
    assert isinstance(pickle.loads(pickled), Predictor)
    manifest = plain / "manifest.json"
    if changed == "weights":
        model_folder(plain, seed=1)
    elif changed == "manifest":
        text = manifest.read_text()
        assert '"green"' in text
        manifest.write_text(text.replace('"green"', '"lime"'))
    else:
        shutil.rmtree(plain)
    message = "there is no" if changed == "deleted" else "contains another model than when .* load it again"
    with pytest.raises(ArtifactError, match=message):
        pickle.loads(pickled)


@pytest.mark.parametrize("another", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_predictor_of_a_model_in_memory_says_how_to_pickle_it(
    another: Callable[[Predictor], object], plain: Path
) -> None:
    predictor = Predictor(load_predictor(plain).manifest, small_model(), device="cpu")
    with pytest.raises(InputError, match="a Predictor cannot be pickled or copied; .* save it with `save_model`"):
        another(predictor)
