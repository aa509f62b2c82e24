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


def test_every_style_has_a_drawing_of_every_label_with_its_edges_cut(scene: Any, demo: Path) -> None:
    drawings = scene.read_drawings(demo / "drawings")
    styles = {(drawing.house, drawing.style) for drawing in drawings}
    assert {house for house, _ in styles} == {"emojitwo", "fluent", "noto", "twemoji"}
    for style in styles:
        of_style = [drawing for drawing in drawings if (drawing.house, drawing.style) == style]
        assert {drawing.label for drawing in of_style} == set(scene.SIZES)
        for drawing in of_style:
            assert max(drawing.image.size) == 128
            assert drawing.image.getchannel("A").getbbox() == (0, 0, *drawing.image.size)


def test_every_house_is_named_in_the_notice_and_the_drawings_stay_small(demo: Path) -> None:
    notice = (demo.parent / "NOTICE").read_text(encoding="utf-8")
    files = list((demo / "drawings").rglob("*.png"))
    for style in {path.parent for path in files}:
        assert f"demo/drawings/{style.parent.name}/{style.name}" in notice
    assert sum(path.stat().st_size for path in files) < 1_500_000


def test_a_scene_shows_each_of_its_labels_and_hides_no_thing_too_far(
    scene: Any, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvases: list[Any] = []
    stand = scene._stand
    monkeypatch.setattr(scene, "_stand", lambda canvas, *a, **k: (canvases.append(canvas), stand(canvas, *a, **k)))
    drawings = scene.read_drawings(demo / "drawings")
    crowded = 0
    for seed in range(40):
        canvases.clear()
        made = scene.paint_scene((240, 320), drawings, np.random.default_rng(seed))
        if not canvases:
            assert made.labels == ()
            continue
        canvas = canvases[-1]
        assert made.labels == tuple(sorted(set(canvas.labels)))
        seen = np.bincount(canvas.owner.ravel(), minlength=len(canvas.area))
        for number in range(1, len(canvas.area)):
            assert seen[number] == canvas.visible[number] >= scene.LEAST_VISIBLE * canvas.area[number]
            crowded += seen[number] < canvas.area[number]
    assert crowded > 10, "things do overlap"


def test_a_scene_follows_from_its_generator_alone(scene: Any, demo: Path) -> None:
    drawings = scene.read_drawings(demo / "drawings")
    first, second = (scene.paint_scene((240, 320), drawings, np.random.default_rng(5)) for _ in range(2))
    assert first.labels == second.labels
    assert first.image.tobytes() == second.image.tobytes()


def test_a_scene_shows_only_drawings_that_it_was_given(scene: Any) -> None:
    red = PIL.Image.new("RGBA", (128, 128), (255, 0, 0, 255))
    only = [scene.Drawing(label="tomato", house="here", style="flat", image=red)]
    for seed in range(12):
        assert set(scene.paint_scene((240, 320), only, np.random.default_rng(seed)).labels) <= {"tomato"}


@pytest.mark.parametrize("seed", range(25))
def test_clutter_and_walls_are_whole_images(seed: int) -> None:
    clutter, textures = import_module("clutter"), import_module("textures")
    thing = clutter.draw_clutter(70, np.random.default_rng(seed))
    assert thing.mode == "RGBA"
    assert thing.height <= 70
    assert thing.getchannel("A").getextrema()[1] == 255
    wall = textures.wall((60, 90), np.random.default_rng(seed))
    assert wall.shape == (60, 90, 3)
    assert np.isfinite(wall).all()
    assert 0.1 < wall.mean() < 1.1
