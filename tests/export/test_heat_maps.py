"""Heat maps of the offline page: the graph's are those of Python's Grad-CAM, and the page draws them in its pixels."""

import base64
import gzip
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from eyebright.errors import ArtifactError
from eyebright.export import page as page_module
from eyebright.export.exportable import Validation
from eyebright.export.files import Exported
from eyebright.export.page import ExportedPage, export_page, heat_map_weights, offline_page
from eyebright.export.parity import LIMIT, Parity
from eyebright.image.image import Image
from eyebright.image.warp import Warp
from eyebright.inference.heat_maps import OPACITY, in_user_pixels
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.manifest import Manifest
from eyebright.inference.predictor import Predictor
from eyebright.models.build import build_model, model_description
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.draw import canonical_placement_of
from eyebright.transforms.spatial import Resize
from eyebright.types import Size
from eyebright.web.offline import page_script
from support.chromium import Browser, Tab
from support.exports import cached_network

NAMES = ["blue", "green", "red"]
SIZES = [(48, 64), (200, 33), (30, 400), (1, 1)]


def graph_of(page: Path) -> bytes:
    found = re.search(r'id="graph">([^<]*)<', page.read_text(encoding="utf-8"))
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1]))


def random_image(size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


# ------------------------------------------------------------------ the graph


def test_the_cells_of_the_graph_are_those_of_grad_cam(page: ExportedPage, saved: Path) -> None:
    session: Any = onnxruntime.InferenceSession(graph_of(page.path))
    predictor = load_predictor(saved, runtime="torch", device="cpu")
    images = [Image.create(path).pixels() for path in sorted((saved.parent / "photos").iterdir())[:6]]
    found = session.run(["heat_maps"], {"images": np.stack(images)})[0]
    assert found.shape == (6, 3, 3, 3)
    for image, cells in zip(images, found, strict=True):
        expected = np.stack([one.cells for one in predictor.heat_maps(image, NAMES)])
        np.testing.assert_allclose(cells, expected, rtol=0, atol=LIMIT * max(1e-3, float(expected.max())))
    assert (found > 0).any()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_graph_says_where_the_image_is_in_the_input_of_the_network(
    size: tuple[int, int], page: ExportedPage, saved: Path
) -> None:
    session: Any = onnxruntime.InferenceSession(graph_of(page.path))
    place = session.run(["image_place"], {"images": random_image(size)[None]})[0][0]
    preprocessing = load_predictor(saved, runtime="torch", device="cpu").manifest.preprocessing
    expected = canonical_placement_of(preprocessing, Size(*size))
    assert expected is not None
    scales = [resized / side for resized, side in zip(expected.resized, size, strict=True)]
    np.testing.assert_allclose(place, [expected.top, expected.left, *scales], rtol=1e-6)


def test_maps_that_are_not_those_of_python_are_not_written(
    saved: Path, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "network_graph", cached_network(exported.folder))
    wrong = np.random.default_rng(0).random((3, 512), dtype=np.float32)
    weights = heat_map_weights(load_predictor(saved, runtime="torch", device="cpu"))
    assert weights is not None
    monkeypatch.setattr(page_module, "heat_map_weights", lambda _: wrong[:, : weights.shape[1]] - 0.5)
    with pytest.raises(ArtifactError, match="the heat maps of the exported graph are not those of Python"):
        export_page(saved, out=tmp_path, validation=Validation(None, []))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("target", "n_out", "lin_ftrs", "says"),
    [
        (CategoryBlock(NAMES), 3, (), "A heat map shows which parts of an image raise the output for a label"),
        (RegressionBlock(names=("x", "y")), 2, (), "A heat map shows which parts"),
        (CategoryBlock(NAMES), 3, None, "no heat maps, since the network does not end in a pooling and a linear layer"),
        (OrdinalBlock(["1", "2", "3"]), 2, (), "no heat maps, since a rating has no output of its own"),
        (PointBlock(1), 2, (), ""),
    ],
    ids=["a linear head", "numbers", "a hidden layer", "ratings", "points"],
)
def test_a_page_without_heat_maps_says_why(
    target: TargetBlock, n_out: int, lin_ftrs: tuple[int, ...] | None, says: str
) -> None:
    model = build_model(model_description("test_resnet", n_out, size=Size(96, 96), lin_ftrs=lin_ftrs)).eval()
    predictor = Predictor(Manifest(model.description, Decision(target), (Resize(Size(96, 96)),)), model, device="cpu")
    weights = heat_map_weights(predictor)
    content = offline_page(predictor, None, Parity(), has_heat_maps=weights is not None)
    assert (weights is not None) == content.has_heat_maps == says.startswith("A heat map")
    assert any(says in one for one in content.limits)
    assert any("heat map" in one for one in content.limits) == bool(says)


# ------------------------------------------------------------------ the page


WARPS = {
    "cropped": Warp.resize(Size(60, 90), Size(64, 96)).then(Warp.crop(Size(64, 96), Size(64, 64), left=16, top=0)),
    "padded": Warp.resize(Size(60, 90), Size(43, 64)).then(Warp.crop(Size(43, 64), Size(64, 64), left=0, top=-11)),
    "squeezed": Warp.resize(Size(60, 90), Size(64, 64)),
}


@pytest.mark.parametrize("how", WARPS)
def test_the_page_has_the_values_of_python_for_every_pixel(how: str, browser: Browser) -> None:
    warp, cells = WARPS[how], np.random.default_rng(0).random((2, 4, 5), dtype=np.float32) - 0.3
    cells = cells.clip(0)
    (across, _, left), (_, down, top), _ = warp.matrix.tolist()
    tab = browser.open("about:blank")
    tab.run(page_script(("heat_map.js",)) + "; globalThis.check = { heatMapValues };")
    heat = {"rows": 4, "columns": 5, "place": [top, left, down, across]}
    given = f"{{ heat: {{ ...{heat}, cells: new Float32Array({cells.ravel().tolist()}) }}, width: 90, height: 60 }}"
    for label in range(2):
        found = tab.run(
            f"Array.from(check.heatMapValues({given}, {label}, {list(warp.output_size)}, {{ width: 90, height: 60 }}))"
        )
        expected = in_user_pixels(cells[label], warp)
        np.testing.assert_allclose(np.reshape(found, (60, 90)), expected, rtol=0, atol=LIMIT)
        assert (expected[:, 0] == 0).all() == (how == "cropped")


def test_a_map_without_heat_is_none(browser: Browser) -> None:
    tab = browser.open("about:blank")
    tab.run(page_script(("heat_map.js",)) + "; globalThis.check = { heatMapValues };")
    heat = "{ rows: 2, columns: 2, place: [0, 0, 1, 1], cells: new Float32Array(4) }"
    given = f"{{ heat: {heat}, width: 8, height: 8 }}, 0, [8, 8], {{ width: 4, height: 4 }}"
    assert tab.run(f"check.heatMapValues({given})") is None


def shown(tab: Tab) -> SimpleNamespace:
    found = tab.run(
        "(() => { const card = document.querySelector('.card'); const canvas = card.querySelector('canvas');"
        "const data = canvas?.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        "return { alphas: data ? Array.from(data).filter((_, i) => i % 4 === 3) : null,"
        "size: canvas && [canvas.height, canvas.width], text: card.querySelector('.seen').textContent,"
        "isHidden: card.querySelector('.seen').hidden, alt: card.querySelector('img').alt,"
        "pressed: [...card.querySelectorAll('[aria-pressed=true]')].map((one) => one.firstChild.textContent) } })()"
    )
    return SimpleNamespace(**found)


def test_one_key_shows_the_map_of_a_label_over_the_image_and_escape_takes_it_away(
    browser: Browser, page: ExportedPage, saved: Path
) -> None:
    path = sorted((saved.parent / "photos").iterdir())[3]
    browser.logged.clear()
    tab = browser.open(page.path.as_uri())
    tab.wait("document.body && document.body.dataset.ready")
    tab.choose_files("#choose", [path])
    tab.wait("document.querySelectorAll('.card').length === 1 && document.body.dataset.open === '0'")
    assert "Press the name of a label" in tab.run("document.querySelector('#results .intro').textContent")
    for label, expected in zip(NAMES, load_predictor(saved, device="cpu").heat_maps(path, NAMES), strict=True):
        tab.run(f"document.querySelector('.heat-button[data-key=\"{NAMES.index(label)}\"]').focus()")
        tab.keys("Enter")
        drawn = shown(tab)
        assert drawn.pressed == [label]
        assert label in drawn.text
        assert drawn.text in drawn.alt
        assert not drawn.isHidden
        if not expected.values.any():
            assert (drawn.text, drawn.size) == (f"heat map: no region raises the output for {label}", None)
            continue
        values = np.reshape(drawn.alphas, drawn.size) / (255 * OPACITY)
        at = [
            ((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(drawn.size, expected.values.shape, strict=True)
        ]
        assert drawn.size == [300, 400]
        is_near = np.abs(values - expected.values[np.ix_(*at)]) < 0.05
        assert is_near.mean() > 0.97  # but at the border of the crop, which lies inside of its larger pixels
    tab.keys("Escape")
    gone = shown(tab)
    assert (gone.size, gone.pressed, gone.isHidden) == (None, [], True)
    assert "heat map" not in gone.alt
    tab.keys("Enter")
    tab.keys("Enter")
    assert shown(tab).pressed == []
    assert browser.logged == []


def test_a_map_stays_when_a_threshold_moves(browser: Browser, page: ExportedPage, saved: Path) -> None:
    tab = browser.open(page.path.as_uri())
    tab.wait("document.body && document.body.dataset.ready")
    tab.choose_files("#choose", sorted((saved.parent / "photos").iterdir())[:1])
    tab.wait("document.querySelectorAll('.card').length === 1 && document.body.dataset.open === '0'")
    tab.run("document.querySelector('.heat-button[data-key=\"2\"]').click()")
    before = shown(tab)
    tab.run("document.querySelector('#panel').open = true")
    tab.run("document.querySelector('#thresholds input').focus()")
    tab.press("Home", 36)
    assert tab.run("document.querySelector('.counts').textContent").startswith("1 yes")
    after = shown(tab)
    assert (
        (after.pressed, after.size, after.text)
        == (before.pressed, before.size, before.text)
        == (["red"], *[before.size, before.text])
    )
