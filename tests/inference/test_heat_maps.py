"""Heat maps: the formulas, beside grad-cam, on planted objects, and in the pixels of the user's own image."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from eyebright.cli.main import run
from eyebright.errors import ArtifactError, ImageError, InputError
from eyebright.image.warp import Warp
from eyebright.inference.feature_maps import record_features
from eyebright.inference.heat_map_files import HeatMapWriter
from eyebright.inference.heat_maps import HeatMap, HeatMapMethod, heat_maps_of_input, in_user_pixels
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.manifest import Manifest
from eyebright.inference.predictor import Predictor
from eyebright.inference.save_folder import save_model
from eyebright.models.build import ImageModel, build_model, model_description
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.spatial import Resize
from eyebright.types import Size, Thresholds

SIDE = 96
METHODS: tuple[HeatMapMethod, ...] = ("gradcam", "layercam")
LABELS = ("red square", "green square")
# A convolutional network, and vision transformers that read a class token, the mean of all tokens, and attention.
BACKBONES = ("test_resnet", "test_vit", "test_vit2", "test_vit3")

EPOCHS = {"test_resnet": 6, "test_vit": 16}  # on planted squares


def network(arch: str, n_out: int = 2, side: int = SIDE) -> ImageModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_model(model_description(arch, n_out, size=Size(side, side), lin_ftrs=())).eval()


def predictor_of(model: ImageModel, target: TargetBlock, *steps: Resize) -> Predictor:
    decision = Decision(target, Thresholds(0.0) if target.has_thresholds else Thresholds())
    return Predictor(Manifest(model.description, decision, steps or (Resize(Size(SIDE, SIDE)),)), model, device="cpu")


def random_images(n: int, side: int = SIDE) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


# ------------------------------------------------------------------ the formulas


@pytest.mark.parametrize("arch", BACKBONES)
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_those_of_the_formulas_on_the_named_layer(arch: str, method: HeatMapMethod) -> None:
    model, images = network(arch), random_images(2)
    layer = model.body
    if arch == "test_vit":  # only the class token is read after the last attention
        layer = model.body.model.blocks[-1].norm1  # type: ignore[union-attr,index]
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _layer, _given, output: kept.append(output))  # type: ignore[union-attr]
    if arch in ("test_vit2", "test_vit3"):
        handle.remove()
        handle = model.body.model.norm.register_forward_hook(lambda *given: kept.append(given[2]))  # type: ignore[union-attr]
    output = model(images.requires_grad_())[:, 1].sum()
    handle.remove()
    gradient, values = torch.autograd.grad(output, kept[0])[0], kept[0].detach()
    if values.ndim == 3:
        values, gradient = (one[:, 1:].transpose(1, 2).unflatten(2, (6, 6)) for one in (values, gradient))
    features = record_features(model, images.detach())
    found = features.with_gradient(features.outputs[:, 1])
    torch.testing.assert_close(found[0], values)
    torch.testing.assert_close(found[1], gradient)
    weights = gradient.mean(dim=(2, 3), keepdim=True) if method == "gradcam" else gradient.clamp(min=0)
    expected = (weights * values).sum(dim=1).clamp(min=0)[0]
    pixels = images[0].detach().permute(1, 2, 0).numpy()
    warp = Warp.identity(Size(SIDE, SIDE))
    (heat,) = heat_maps_of_input(model, MultiCategoryBlock(vocab=LABELS), pixels, warp, LABELS[1:], method=method)
    np.testing.assert_allclose(heat.cells, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("pytorch_grad_cam") is None, reason="needs pip install grad-cam")
@pytest.mark.parametrize("arch", BACKBONES[:2])
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_equal_to_those_of_grad_cam(arch: str, method: HeatMapMethod) -> None:
    from pytorch_grad_cam import GradCAM, LayerCAM  # type: ignore[import-not-found]
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # type: ignore[import-not-found]

    model, images = network(arch), random_images(1)
    is_vit = arch == "test_vit"
    layer = model.body.model.blocks[-1].norm1 if is_vit else model.body  # type: ignore[union-attr,index]
    reshape = (lambda x: x[:, 1:].transpose(1, 2).unflatten(2, (6, 6))) if is_vit else None
    with {"gradcam": GradCAM, "layercam": LayerCAM}[method](model, [layer], reshape_transform=reshape) as theirs:
        expected = theirs(images, [ClassifierOutputTarget(1)])[0]
    pixels = images[0].permute(1, 2, 0).numpy()
    warp = Warp.identity(Size(SIDE, SIDE))
    (heat,) = heat_maps_of_input(model, MultiCategoryBlock(vocab=LABELS), pixels, warp, LABELS[1:], method=method)
    # grad-cam makes the least value 0 and the greatest 1, before and after it enlarges with OpenCV.
    enlarged = _between_0_and_1(cv2.resize(_between_0_and_1(heat.cells), (SIDE, SIDE)))
    np.testing.assert_allclose(enlarged, expected, atol=1e-4)


def _between_0_and_1(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / (1e-7 + (values - values.min()).max())


def test_finer_maps_are_those_of_the_enlarged_image() -> None:
    model, images = network("test_resnet"), random_images(1)
    larger = torch.nn.functional.interpolate(images, size=(144, 144), mode="bilinear")
    target, warps = MultiCategoryBlock(vocab=LABELS), [Warp.identity(Size(side, side)) for side in (SIDE, 144)]
    pixels = [one[0].permute(1, 2, 0).numpy() for one in (images, larger)]
    (finer,) = heat_maps_of_input(model, target, pixels[0], warps[0], LABELS[1:], method="gradcam-finer")
    (expected,) = heat_maps_of_input(model, target, pixels[1], warps[1], LABELS[1:])
    np.testing.assert_allclose(finer.cells, expected.cells, rtol=1e-4, atol=1e-6)
    assert finer.values.shape == (SIDE, SIDE)


def test_a_backbone_of_one_size_has_no_finer_maps() -> None:
    model, images = network("test_vit"), random_images(1)
    pixels, warp = images[0].permute(1, 2, 0).numpy(), Warp.identity(Size(SIDE, SIDE))
    target = MultiCategoryBlock(vocab=LABELS)
    (finer,) = heat_maps_of_input(model, target, pixels, warp, LABELS[1:], method="gradcam-finer")
    (plain,) = heat_maps_of_input(model, target, pixels, warp, LABELS[1:])
    np.testing.assert_array_equal(finer.cells, plain.cells)


# ------------------------------------------------------------------ planted objects


def planted(n: int, seed: int) -> tuple[np.ndarray, Tensor, np.ndarray]:
    """(images with noise and at most one red and one green square, their labels, the corners of the squares)."""
    rng = np.random.default_rng(seed)
    images = rng.random((n, SIDE, SIDE, 3), dtype=np.float32) * 0.6 + 0.2
    has = torch.from_numpy(rng.random((n, 2)) < 0.5)
    corners = np.zeros((n, 2, 2), dtype=int)
    for i in range(n):
        left, right = rng.permutation(2)  # each square in a half of its own
        for k, half in ((0, left), (1, right)):
            corners[i, k] = rng.integers(0, SIDE - 44), half * SIDE // 2 + rng.integers(0, 5)
            if has[i, k]:
                top, start = corners[i, k]
                images[i, top : top + 44, start : start + 44] = np.eye(3, dtype=np.float32)[k]
    return images, has.float(), corners


def taught(arch: str) -> ImageModel:
    """A network that was trained on planted squares for some seconds."""
    model = network(arch)
    images, targets, _ = planted(128, 0)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(EPOCHS[arch]):
            model.train()
            for rows in torch.randperm(128, generator=generator).split(32):
                loss = torch.nn.functional.binary_cross_entropy_with_logits(model(pixels[rows]), targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("arch", BACKBONES[:2])
def test_the_peak_lies_in_the_planted_object_in_the_users_pixels(arch: str) -> None:
    predictor = predictor_of(taught(arch), MultiCategoryBlock(vocab=LABELS))
    images, targets, corners = planted(60, 1)
    inside: list[bool] = []
    for image, has, where in zip(images, targets, corners, strict=True):
        photo = np.kron(image, np.ones((2, 3, 1), dtype=np.float32))  # 192 x 288: three times as wide
        for k in (0, 1):
            if has[k]:
                (heat,) = predictor.heat_maps(photo, [LABELS[k]])
                assert heat.values.shape == photo.shape[:2]
                x, y = heat.peak[0] / 3, heat.peak[1] / 2
                inside.append(where[k][1] <= x <= where[k][1] + 44 and where[k][0] <= y <= where[k][0] + 44)
    assert np.mean(inside) >= 0.95


# ------------------------------------------------------------------ the user's pixels


@pytest.mark.parametrize("turn", range(8))
def test_a_cell_is_at_the_same_place_after_turns_and_mirrors(turn: int) -> None:
    image = Size(60, 90)
    turned = Warp.dihedral(image, turn)
    warp = turned.then(Warp.resize(turned.output_size, Size(70, 70)))
    cells = np.zeros((7, 7), dtype=np.float32)
    cells[1, 4] = 2.0  # its centre: (45, 15) of the input
    x, y = (warp.inverse().matrix @ [45, 15, 1])[:2]
    heat = HeatMap("a", in_user_pixels(cells, warp), cells)
    assert heat.values.shape == image
    assert heat.values.max() == pytest.approx(1)
    assert heat.peak == pytest.approx((x, y), abs=0.51)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 3), (3, 1), (2, 2)])
def test_the_peak_is_the_centre_of_the_hottest_cell_also_at_the_edge_of_the_image(row: int, column: int) -> None:
    cells = np.full((4, 4), 0.1, dtype=np.float32)
    cells[row, column] = 1.0
    heat = HeatMap("a", in_user_pixels(cells, Warp.identity(Size(64, 64))), cells)
    assert heat.peak == pytest.approx((16 * column + 8, 16 * row + 8), abs=0.51)


def test_what_was_cropped_away_is_cold_and_padding_is_cut_off() -> None:
    image = Size(100, 200)
    crop = Warp.crop(image, Size(100, 100), left=50, top=0).then(Warp.resize(Size(100, 100), Size(64, 64)))
    values = in_user_pixels(np.ones((2, 2), dtype=np.float32), crop)
    np.testing.assert_array_equal(values, np.repeat([[0.0] * 50 + [1.0] * 100 + [0.0] * 50], 100, axis=0))
    padded = Warp.crop(image, Size(200, 200), left=0, top=-50).then(Warp.resize(Size(200, 200), Size(64, 64)))
    np.testing.assert_array_equal(in_user_pixels(np.ones((2, 2), dtype=np.float32), padded), np.ones(image))
    cells = np.zeros((4, 4), dtype=np.float32)
    cells[0, 0] = 1.0  # in the padding alone
    assert in_user_pixels(cells, padded).max() in (0.0, 1.0)


def test_a_turned_photograph_has_the_map_of_the_upright_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    upright = PIL.Image.fromarray(pixels)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.transpose(PIL.Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    predictor = predictor_of(network("test_resnet"), MultiCategoryBlock(vocab=LABELS))
    (first,), (second,) = (predictor.heat_maps(one, LABELS[:1]) for one in (pixels, tmp_path / "turned.png"))
    assert first.values.shape == (40, 60)
    np.testing.assert_allclose(second.values, first.values, atol=1e-5)


def test_a_map_without_heat_is_zero() -> None:
    assert in_user_pixels(np.zeros((3, 3), dtype=np.float32), Warp.identity(Size(9, 9))).max() == 0


# ------------------------------------------------------------------ every kind, and bad input


@pytest.mark.parametrize(
    ("target", "n_out", "labels"),
    [
        (CategoryBlock(LABELS), 2, None),
        (OrdinalBlock(["1", "2", "3"]), 2, ("3",)),
        (RegressionBlock(names=("age", "size")).fit([(1.0, 2.0), (3.0, 5.0)]), 2, None),
    ],
    ids=["class", "ratings", "numbers"],
)
def test_other_kinds_have_heat_maps(target: TargetBlock, n_out: int, labels: tuple[str, ...] | None) -> None:
    found = predictor_of(network("test_resnet", n_out), target).heat_maps(np.zeros((20, 30, 3), np.uint8), labels)
    assert len(found) == (2 if target.task_type == "numbers" else 1)
    assert all(one.values.shape == (20, 30) and 0 <= one.values.min() <= one.values.max() <= 1 for one in found)


def test_points_unknown_labels_methods_and_images_are_errors(tmp_path: Path) -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    predictor = predictor_of(network("test_resnet"), MultiCategoryBlock(vocab=LABELS))
    with pytest.raises(InputError, match=r"the model has no label 'red'\..* It has: 'red square', 'green square'"):
        predictor.heat_maps(image, ["red"])
    with pytest.raises(InputError, match="unknown `method` 'cam'.* Known: 'gradcam', 'layercam', 'gradcam-finer'"):
        predictor.heat_maps(image, LABELS, method="cam")  # type: ignore[arg-type]
    with pytest.raises(ImageError):
        predictor.heat_maps(tmp_path / "none.jpg", LABELS)
    points = predictor_of(network("test_resnet"), PointBlock(1, names=("nose",)))
    with pytest.raises(InputError, match="this model predicts points, which are places already"):
        points.heat_maps(image)
    with pytest.raises(InputError, match="which are places already"):
        HeatMapWriter(points, tmp_path / "maps")
    assert not (tmp_path / "maps").exists()


# ------------------------------------------------------------------ files


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A model folder whose model predicts both labels for every image."""
    model = network("test_resnet")
    decision = Decision(MultiCategoryBlock(vocab=LABELS), Thresholds(0.0))
    manifest = Manifest(model.description, decision, (Resize(Size(SIDE, SIDE)),))
    return save_model(tmp_path / "model", manifest, model.state_dict())


def test_predict_writes_a_map_of_each_predicted_label(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        PIL.Image.fromarray(pixels).save(tmp_path / folder / "one.png")
    images = [str(tmp_path / folder / "one.png") for folder in ("a", "b")]
    maps = tmp_path / "maps"
    assert run(["predict", str(saved), *images, "--runtime", "torch", "--heat-maps", str(maps)]) == 0
    assert "4 heat maps" in capsys.readouterr().err
    names = sorted(path.name for path in maps.iterdir())
    assert names == [f"one--{color}_square{n}.png" for color in ("green", "red") for n in ("-2", "")]
    with PIL.Image.open(maps / names[0]) as drawn:
        assert drawn.size == (60, 40)
        assert not np.array_equal(np.asarray(drawn), pixels)


def test_a_folder_that_cannot_be_made_is_an_error(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot create the folder of heat maps"):
        HeatMapWriter(load_predictor(saved, runtime="torch"), tmp_path / "file" / "maps")


def test_hot_places_are_coloured_and_cold_ones_are_not() -> None:
    values = np.zeros((20, 30), dtype=np.float32)
    values[:, 20:] = 1
    grey = PIL.Image.fromarray(np.full((20, 30, 3), 100, np.uint8))
    drawn = np.asarray(HeatMap("a", values, values[:2, :3]).drawn_on(grey)).astype(int)
    assert (drawn[:, :20] == 100).all()
    assert (drawn[:, 20:, 0] > drawn[:, 20:, 2]).all()  # red
