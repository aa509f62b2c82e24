from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

pytestmark = pytest.mark.usefixtures("demo_path")


@pytest.fixture
def scene(demo_path: None) -> Any:
    return import_module("scene")


def test_every_style_has_a_cropped_drawing_of_every_label(scene: Any, demo: Path) -> None:
    drawings = scene.read_drawings(demo / "drawings")
    styles = {(drawing.vendor, drawing.style) for drawing in drawings}
    assert {vendor for vendor, _ in styles} == {"emojitwo", "fluent", "noto", "twemoji"}
    for style in styles:
        of_style = [drawing for drawing in drawings if (drawing.vendor, drawing.style) == style]
        assert {drawing.label for drawing in of_style} == set(scene.SIZES)
        for drawing in of_style:
            assert max(drawing.image.size) == 128
            assert drawing.image.getchannel("A").getbbox() == (0, 0, *drawing.image.size)


def test_every_style_is_in_the_notice_and_the_drawings_are_small(demo: Path) -> None:
    notice = (demo.parent / "NOTICE").read_text(encoding="utf-8")
    files = list((demo / "drawings").rglob("*.png"))
    for style in {path.parent for path in files}:
        assert f"demo/drawings/{style.parent.name}/{style.name}" in notice
    assert sum(path.stat().st_size for path in files) < 1_500_000


def test_labelled_objects_overlap_but_are_visible_enough(
    scene: Any, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvases: list[Any] = []
    place = scene._place
    monkeypatch.setattr(scene, "_place", lambda canvas, *a, **k: (canvases.append(canvas), place(canvas, *a, **k)))
    drawings = scene.read_drawings(demo / "drawings")
    occluded = 0
    for seed in range(40):
        canvases.clear()
        painted = scene.paint_scene((240, 320), drawings, np.random.default_rng(seed))
        if not canvases:
            assert painted.labels == ()
            continue
        canvas = canvases[-1]
        assert painted.labels == tuple(sorted(set(canvas.labels)))
        pixel_counts = np.bincount(canvas.segmentation.ravel(), minlength=len(canvas.area))
        for number in range(1, len(canvas.area)):
            assert pixel_counts[number] == canvas.visible[number] >= scene.MIN_VISIBLE * canvas.area[number]
            occluded += pixel_counts[number] < canvas.area[number]
    assert occluded > 10, "some objects overlap"


def test_a_scene_depends_on_its_generator_only(scene: Any, demo: Path) -> None:
    drawings = scene.read_drawings(demo / "drawings")
    first, second = (scene.paint_scene((240, 320), drawings, np.random.default_rng(5)) for _ in range(2))
    assert first.labels == second.labels
    assert first.image.tobytes() == second.image.tobytes()


def test_a_scene_shows_only_the_drawings_passed_to_it(scene: Any) -> None:
    red = PIL.Image.new("RGBA", (128, 128), (255, 0, 0, 255))
    drawings = [scene.Drawing(label="tomato", vendor="vendor", style="flat", image=red)]
    for seed in range(12):
        assert set(scene.paint_scene((240, 320), drawings, np.random.default_rng(seed)).labels) <= {"tomato"}


@pytest.mark.parametrize("seed", range(25))
def test_distractors_and_walls_are_valid_images(seed: int) -> None:
    clutter, textures = import_module("clutter"), import_module("textures")
    distractor = clutter.draw_clutter(70, np.random.default_rng(seed))
    assert distractor.mode == "RGBA"
    assert distractor.height <= 70
    assert distractor.getchannel("A").getextrema()[1] == 255
    wall = textures.wall((60, 90), np.random.default_rng(seed))
    assert wall.shape == (60, 90, 3)
    assert np.isfinite(wall).all()
    assert 0.1 < wall.mean() < 1.1
