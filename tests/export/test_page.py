"""The page that predicts without a network: what it says in headless Chromium, against Python."""

import csv
import gzip
import hashlib
import io
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from eyebright.errors import ArtifactError, InputError
from eyebright.export import page as page_module
from eyebright.export.exportable import Validation
from eyebright.export.files import Exported
from eyebright.export.page import PAGE, ExportedPage, export_page, thresholds_origin
from eyebright.export.parity import LIMIT, Parity
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_manifest
from eyebright.inference.prediction_file import PredictionWriter
from eyebright.inference.predictions import Prediction, SkippedImage
from eyebright.tasks.calibration import Temperature
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import LabelSet, Thresholds
from eyebright.web.offline import WASM, OfflinePage, page_script, render_offline_page, runtime_files, worker_script
from eyebright.web.page import packaged, packaged_bytes
from eyebright.workflow.command_options.evaluation import TuneOptions
from eyebright.workflow.tune import tune_model
from support.chromium import Browser, Tab
from support.exports import cached_network
from support.tuned_models import saved as saved_evaluations

NAMES = ["blue", "green", "red"]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files that browsers and Python decode alike: PNG and JPEG, grey, a palette, turned by EXIF, long, one pixel."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)

    def smooth(width: int, height: int) -> PIL.Image.Image:
        noise = PIL.Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        return noise.resize((width, height), PIL.Image.Resampling.BICUBIC)

    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    for i in range(8):
        smooth(60 + 30 * i, 80).save(folder / f"{i}.png")
        smooth(90, 60 + 31 * i).save(folder / f"{i}.jpg", quality=60 + 5 * i, subsampling=i % 3)
    smooth(120, 90).save(folder / "turned, by EXIF.jpg", exif=turned)
    smooth(120, 90).convert("L").save(folder / "grey.png")
    smooth(120, 90).convert("L").save(folder / "grey.jpg")
    smooth(120, 90).quantize(32).save(folder / "palette.png")
    smooth(120, 90).save(folder / "progressive.jpg", progressive=True)
    smooth(5000, 17).save(folder / "long.png")
    smooth(1, 1).save(folder / "one.png")
    return sorted(folder.iterdir())


def opened(browser: Browser, page: ExportedPage) -> Tab:
    """The page, when it has loaded its model."""
    tab = browser.open(page.path.as_uri())
    tab.wait("document.body && document.body.dataset.ready")
    return tab


def answer(tab: Tab, paths: list[Path]) -> None:
    """Chooses images and waits for their answers."""
    tab.choose_files("#choose", paths)
    tab.wait(f"document.querySelectorAll('.card').length === {len(paths)} && document.body.dataset.open === '0'")


def downloaded(tab: Tab, folder: Path, name: str = "predictions.csv") -> list[list[str]]:
    """The rows of the CSV that the button gives."""
    tab.browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    file = folder / name
    tab.run("document.querySelector('#download').click()")
    end = time.monotonic() + 30
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.02)
    rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
    file.unlink()
    return rows


def predicted(model: Path, paths: list[Path]) -> list[list[str]]:
    """The rows of the CSV of ``eyebright predict``."""
    predictor, text = load_predictor(model, runtime="torch", device="cpu"), io.StringIO()
    writer = PredictionWriter(text.write, "csv", predictor.target, is_three_way=True, has_ood=True)
    for prediction in predictor.stream(paths):
        assert not isinstance(prediction, SkippedImage)
        writer.add(prediction)
    return list(csv.reader(io.StringIO(text.getvalue())))


def test_the_page_answers_as_python_does_and_asks_nobody(
    browser: Browser, page: ExportedPage, saved: Path, images: list[Path], tmp_path: Path
) -> None:
    validation = sorted((saved.parent / "photos").iterdir())
    browser.requested.clear()
    browser.logged.clear()
    tab = opened(browser, page)
    answer(tab, [*images, *validation])
    header, *rows = downloaded(tab, tmp_path)
    expected_header, *expected = predicted(saved, [*images, *validation])
    assert header == expected_header == ["path", "labels", *NAMES, "ask", "ood_score", "ood"]
    assert [row[0] for row in rows] == [Path(row[0]).name for row in expected]
    numbers = [np.array([row[2:5] for row in one], dtype=np.float64) for one in (rows, expected)]
    assert np.abs(numbers[0] - numbers[1]).max() <= LIMIT
    is_far = (np.minimum(abs(numbers[1] - 0.5), abs(numbers[1] - 0.45)) > LIMIT).all(1)
    decisions = [np.array([[row[1], row[5]] for row in one]) for one in (rows, expected)]
    assert is_far.mean() > 0.5
    assert (decisions[0] == decisions[1])[is_far].all()
    scores = [np.array([row[6] for row in one], dtype=np.float64) for one in (rows, expected)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=LIMIT, atol=LIMIT)
    is_far = np.abs(scores[1] - 1) > LIMIT  # one validation image has the threshold as its score
    is_unlike = [np.array([row[7] for row in one]) for one in (rows, expected)]
    assert (is_unlike[0] == is_unlike[1])[is_far].all()
    assert set(is_unlike[0]) == {"yes", "no"}
    sentences = tab.run("[...document.querySelectorAll('.card .unlike')].map((one) => one.lastChild.textContent)")
    unlike = [float(row[6]) for row in rows if row[7] == "yes"]
    assert sentences == [f"unlike the training images (score {score:.2f})" for score in unlike]
    assert {address.split(":")[0] for address in browser.requested} <= {"file", "blob", "data"}
    assert browser.logged == []


def test_a_threshold_is_moved_by_keyboard_and_set_back(
    browser: Browser, page: ExportedPage, images: list[Path], tmp_path: Path
) -> None:
    tab = opened(browser, page)
    answer(tab, images[:3])
    before = downloaded(tab, tmp_path)
    tab.run("document.querySelector('#panel').open = true")  # on a small screen it is closed
    tab.run("document.querySelector('#thresholds input').focus()")
    tab.press("Home", 36)  # the threshold for yes is 0, and the lower one gives way
    moved = downloaded(tab, tmp_path, "predictions-moved-thresholds.csv")
    assert all("blue" in row[1].split(";") for row in moved[1:])
    assert all("blue" not in row[5].split(";") for row in moved[1:])
    assert "1 label has other thresholds than the model" in tab.run("document.querySelector('#moved').textContent")
    assert tab.run("document.querySelector('.counts').textContent") == "3 yes · 0 ask · 0 no"
    tab.run("document.querySelector('#reset').click()")
    assert downloaded(tab, tmp_path) == before
    assert tab.run("document.querySelector('#moved').hidden")


def test_what_cannot_be_answered_is_a_sentence_and_the_others_go_on(
    browser: Browser, page: ExportedPage, images: list[Path], tmp_path: Path
) -> None:
    whole = images[0].read_bytes()
    files = {
        "broken.png": whole[: len(whole) // 2],
        "cut.jpg": (images[0].parent / "0.jpg").read_bytes()[:-400],
        "empty.png": b"",
        "text.png": b"no image at all",
        "scan.tif": b"II*\0" + bytes(20),
        "phone.heic": bytes(4) + b"ftypheic" + bytes(20),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    tab = opened(browser, page)
    answer(tab, [*(tmp_path / name for name in files), images[1]])
    sentences = tab.run("[...document.querySelectorAll('.card .error')].map((one) => one.lastChild.textContent)")
    assert sentences == [
        "The file is cut off: a part of the image is missing.",
        "The file is cut off: a part of the image is missing.",
        "The file is empty.",
        "This is no image of a kind that is known here: JPEG, PNG, WebP, GIF, BMP or AVIF.",
        "Browsers decode TIFF files differently or not at all: save the image as JPEG or PNG.",
        "Browsers decode HEIC files differently or not at all: save the image as JPEG or PNG.",
    ]
    assert tab.run("document.querySelector('#status').textContent") == "1 image answered, 6 not."
    assert len(downloaded(tab, tmp_path)) == 2
    tab.run("document.querySelector('#clear').click()")
    assert tab.run("document.querySelectorAll('.card').length") == 0


def test_what_a_browser_decodes_in_its_own_way_is_said(browser: Browser, page: ExportedPage, tmp_path: Path) -> None:
    colours = PIL.Image.new("RGB", (40, 30), (200, 80, 20))
    colours.convert("CMYK").save(tmp_path / "cmyk.jpg")
    PIL.Image.fromarray(np.full((30, 40), 30_000, np.uint16)).save(tmp_path / "deep.png")
    clear = colours.convert("RGBA")
    clear.putalpha(120)
    clear.save(tmp_path / "clear.png")
    tab = opened(browser, page)
    answer(tab, [tmp_path / name for name in ("cmyk.jpg", "deep.png", "clear.png")])
    notes = tab.run("[...document.querySelectorAll('.card .note')].map((one) => one.textContent)")
    assert [note.split(",")[0] for note in notes] == [
        "It is a CMYK image",
        "It has 16 bits a channel",
        "Transparent parts are put on white; the numbers may differ a little from Python's.",
    ]


def test_numbers_and_rows_are_written_as_python_writes_them(browser: Browser) -> None:
    tab = browser.open("about:blank")
    tab.run(packaged("assets/offline/answers.js") + "; globalThis.check = { nineDigits, csvText, csvRow };")
    random = np.random.default_rng(0)
    exact = (random.normal(size=300) * 10.0 ** random.integers(-12, 14, 300)).astype(np.float32).tolist()
    values = [*exact, 0.0, 1.0, 1e-5, 1e-4, 123456789.0, 999999999.6, 1e9, 0.1]
    assert tab.run(f"{values}.map(check.nineDigits)") == [f"{value:.9g}" for value in values]
    cells = [["plain", 'a "b"', "c,d", "e\nf", ""], ["1", "2", "3", "4", "5"]]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(cells)
    assert tab.run(f"check.csvText({cells[0]}, [{cells[1]}])") == text.getvalue()
    block = MultiCategoryBlock(vocab=["a;b", 'c "d"', "é"])
    model = {"shows": "labels", "names": list(block.classes)}
    row = tab.run(
        f"check.csvRow({model}, 'x', {{ first: [0.9, 0.8, 0.1] }}, {{ upper: [0.5, 0.5, 0.5], lower: null }})"
    )
    assert row[1] == block.table_row(LabelSet(["a;b", 'c "d"']), torch.zeros(3))[0]


def test_names_that_a_spreadsheet_would_run_are_written_as_by_the_safe_format_of_predict(browser: Browser) -> None:
    tab = browser.open("about:blank")
    tab.run(packaged("assets/offline/answers.js") + "; globalThis.check = { csvText, csvRow };")
    names = ["=1+1", "@a", "-b"]
    model = {"shows": "labels", "names": names}
    row = (
        f"check.csvRow({model}, '+x.png', {{ first: [0.875, -0.5, 0.75] }}, {{ upper: [0.5, 0.5, 0.5], lower: null }})"
    )
    text, block = io.StringIO(), MultiCategoryBlock(vocab=names)
    writer = PredictionWriter(text.write, "csv-safe", block)
    probabilities = torch.tensor([0.875, -0.5, 0.75])
    writer.add(Prediction("+x.png", LabelSet(["=1+1", "-b"]), probabilities))
    columns = ["path", "labels", *names]
    assert tab.run(f"check.csvText({columns}, [{row}])") == text.getvalue()


@pytest.mark.parametrize(
    ("shows", "outputs", "sentence", "row"),
    [
        ("classes", "[0.2, 0.5, 0.3], decisions: [1]", "green", ["x.png", "green", "0.2", "0.5", "0.3"]),
        ("numbers", "[0.25, -12345.678, 3]", "blue 0.25, green -12350, red 3", ["x.png", "0.25", "-12345.678", "3"]),
        (
            "points",
            "[10, 20, 30.5, 40, 50, 60]",
            "blue 10.0, 20.0, green 30.5, 40.0, red 50.0, 60.0",
            ["x.png", "10", "20", "30.5", "40", "50", "60"],
        ),
    ],
)
def test_every_kind_of_answer_is_shown(
    browser: Browser, shows: str, outputs: str, sentence: str, row: list[str]
) -> None:
    tab = browser.open("about:blank")
    scripts = page_script(("answers.js", "cards.js"))
    model = {"shows": shows, "names": NAMES, "isOrdered": "false"}
    shown = tab.run(
        f"(() => {{ {scripts}; const model = {model}; const card = new Card(new File([], 'x.png'), model);"
        f"const outputs = {{ first: {outputs}, width: 80, height: 40, note: '', thumbnail: new Blob() }};"
        "card.show(outputs, null); return { sentence: card.sentence(), marks: card.frame.querySelectorAll('g').length,"
        "row: csvRow(model, card.path, outputs, null), text: card.body.textContent } })()"
    )
    assert shown["sentence"] == sentence
    assert shown["row"] == row
    assert shown["marks"] == (3 if shows == "points" else 0)
    assert all(name in shown["text"] for name in NAMES)


def test_names_of_labels_are_text_and_never_markup(browser: Browser, tmp_path: Path, page: ExportedPage) -> None:
    bad = "</script><img src=x onerror=alert(1)><!--"
    model: dict[str, Any] = {"shows": "labels", "names": [bad], "columns": ["path", "labels", bad]}
    content = OfflinePage("Title", bad, {**model, "upper": [0.5], "lower": None, "isOrdered": False}, [(bad, bad)])
    text = render_offline_page(content, b"no graph")
    assert bad not in text
    path = tmp_path / PAGE
    path.write_text(text, encoding="utf-8")
    browser.logged.clear()
    tab = browser.open(path.as_uri())
    tab.wait("document.querySelector('#status.failed') !== null")
    assert tab.run("document.querySelector('#thresholds .name').textContent") == bad
    assert tab.run("document.querySelector('#status').textContent").startswith("The model could not be loaded")
    assert browser.logged == []


def test_the_page_names_no_other_place_and_allows_no_request(page: ExportedPage) -> None:
    text = page.path.read_text(encoding="utf-8")
    head, _, body = text.partition('<script type="application/json" id="worker">')
    assert text.startswith("<!doctype html>")
    assert page.bytes == len(text.encode()) < 30e6
    assert "connect-src 'none'" in head
    assert "default-src 'none'" in head
    assert "unsafe-inline" not in head
    assert "Permission is hereby granted, free of charge" in head
    assert "http" not in head.replace("http-equiv", "")
    assert "http" not in body.rpartition('<script type="module">')[2].replace("http://www.w3.org/2000/svg", "")


def test_the_packaged_runtime_is_what_its_table_says() -> None:
    for name, facts in runtime_files()["files"].items():
        compressed = packaged_bytes(f"assets/onnxruntime_web/{name}.gz")
        assert hashlib.sha256(compressed).hexdigest() == facts["gz_sha256"]
        assert hashlib.sha256(gzip.decompress(compressed)).hexdigest() == facts["sha256"]
        assert compressed[4:8] == bytes(4)  # no time
    assert gzip.decompress(packaged_bytes(f"assets/onnxruntime_web/{WASM}.gz")).startswith(b"\0asm")
    assert "import.meta" not in worker_script()
    assert runtime_files()["version"] in worker_script()


def test_a_graph_that_answers_otherwise_is_not_written(
    saved: Path, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PAGE).write_text("<!doctype html>\nthe earlier page")
    monkeypatch.setattr(page_module, "network_graph", cached_network(exported.folder))
    monkeypatch.setattr("eyebright.export.parity.compare", lambda *_: {"the graph": Parity(images=1, difference=0.5)})
    with pytest.raises(ArtifactError, match="nothing is written: the graph does not answer as Python does: 1 image "):
        export_page(saved, out=tmp_path, validation=Validation(None, []))
    assert (tmp_path / PAGE).read_text() == "<!doctype html>\nthe earlier page"
    (tmp_path / PAGE).write_text("somebody's notes")
    with pytest.raises(InputError, match="exists and holds no page"):
        export_page(saved, out=tmp_path, validation=Validation(None, []))


def test_the_page_names_no_promise_whose_calibration_or_threshold_was_edited(tmp_path: Path) -> None:
    folder = saved_evaluations(tmp_path / "model")
    tune_model(TuneOptions(folder, promise=("precision >= 0.9",)))
    manifest = load_manifest(folder)
    assert thresholds_origin(manifest) == "set for precision >= 0.9"
    calibrated = manifest.decision.with_calibration(Temperature(3.0))
    assert thresholds_origin(replace(manifest, decision=calibrated)) == "set, not tuned"
    by_hand = manifest.decision.with_thresholds(Thresholds(0.5))
    assert thresholds_origin(replace(manifest, decision=by_hand)) == "set by hand"
