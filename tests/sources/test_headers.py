"""Image headers of a source: unreadable images, and points given as fractions or percentages."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import InputError
from eyebright.image.image import Image
from eyebright.sources.headers import readable
from eyebright.sources.read import read_source

SIZES = [(400, 300), (600, 800), (300, 300), (640, 480)] * 3  # width and height
FRACTIONS = np.random.default_rng(0).random((len(SIZES), 2, 2))


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    for i, size in enumerate(SIZES):
        PIL.Image.new("RGB", size).save(tmp_path / f"{i:02}.png")
    return tmp_path


def write(folder: Path, points: np.ndarray) -> Path:
    rows = [f"{i:02}.png," + ",".join(f"{value:.6f}" for value in row.reshape(-1)) for i, row in enumerate(points)]
    (folder / "points.csv").write_text("file,left_x,left_y,right_x,right_y\n" + "\n".join(rows) + "\n")
    return folder / "points.csv"


def test_points_in_pixels_are_taken_as_they_are(labelled: Path) -> None:
    pixels = FRACTIONS * np.array(SIZES)[:, None]
    source = read_source(write(labelled, pixels))
    assert np.allclose(source.targets, pixels, atol=1e-6)
    assert source.mirror == (1, 0)
    assert source.sizes is None


@pytest.mark.parametrize(("unit", "scale"), [("fraction", 1), ("percent", 100)])
def test_fractions_and_percentages_are_an_error_unless_the_unit_is_given(labelled: Path, unit: str, scale: int) -> None:
    table = write(labelled, FRACTIONS * scale)
    message = (
        rf"points.csv': points look like .* in an image of 400 x 300 pixels; `unit='{unit}'` converts them, `unit="
    )
    with pytest.raises(InputError, match=message):
        read_source(table)
    source = read_source(table, unit=unit)
    assert np.allclose(source.targets, FRACTIONS * np.array(SIZES)[:, None], atol=1e-3)
    assert source.sizes is not None
    assert source.sizes.tolist() == [[height, width] for width, height in SIZES]
    assert any(message.startswith("points are converted from") for message in source.messages)
    assert np.allclose(read_source(table, unit="pixels").targets, FRACTIONS * scale, atol=1e-6)


def test_points_outside_of_their_images_are_an_error(labelled: Path) -> None:
    table = write(labelled, FRACTIONS * 10_000)
    with pytest.raises(InputError, match="points are outside their image: .*; `unit='pixels'` takes them as they are"):
        read_source(table)
    read_source(table, unit="pixels")


def test_an_unknown_unit_is_an_error(labelled: Path) -> None:
    with pytest.raises(InputError, match="`unit` must be pixels, fraction, percent, got 'metres'"):
        read_source(write(labelled, FRACTIONS), unit="metres")


def test_an_unreadable_image_leaves_its_points_unknown_and_is_reported_when_all_headers_are_read(
    labelled: Path,
) -> None:
    (labelled / "03.png").write_bytes(b"")
    source = read_source(write(labelled, FRACTIONS), unit="fraction")
    assert np.isnan(source.targets[3]).all()  # pyright: ignore[reportCallIssue]
    with pytest.raises(InputError, match=r"03.png \(points.csv line 5\): it is empty .*; `skip_bad=True` skips"):
        readable(source, skip_bad=False)
    rest = readable(source, skip_bad=True)
    assert len(rest) == len(SIZES) - 1
    assert not np.isnan(rest.targets).any()  # pyright: ignore[reportCallIssue]
    assert list(rest.skipped) == [str(labelled / "03.png")]


def test_each_header_is_read_once(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    create = Image.create

    def counted(source: Path) -> Image:
        asked.append(source.name)
        return create(source)

    monkeypatch.setattr(Image, "create", counted)
    source = readable(read_source(write(labelled, FRACTIONS), unit="fraction"), skip_bad=False)
    assert sorted(asked) == [f"{i:02}.png" for i in range(len(SIZES))]
    readable(source, skip_bad=False)
    assert len(asked) == len(SIZES)


@pytest.mark.parametrize(
    ("largest", "told"), [(4095, True), (8191, True), (16383, True), (16384, False), (65535, False)]
)
def test_16_bit_images_that_hardly_use_their_range_are_said(largest: int, told: bool, tmp_path: Path) -> None:
    for name in ("a/1.tif", "b/2.tif"):
        (tmp_path / name).parent.mkdir()
        PIL.Image.fromarray(np.array([[0, largest]], dtype=np.uint16)).save(tmp_path / name)
    messages = readable(read_source(tmp_path), skip_bad=False).messages
    said = (
        f"in 2 of them the largest value is {largest:,} of 65,535, and the files do not state that they have fewer bits"
    )
    assert any(said in message for message in messages) == told


def test_images_with_damaged_exif_are_named_since_they_may_lie_on_their_side(labelled: Path) -> None:
    damaged = [f"{i:02}.jpg" for i in range(20, 27)]
    for name in damaged:
        PIL.Image.new("RGB", (40, 30)).save(labelled / name, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09")
    names = [*damaged, *(f"{i:02}.png" for i in range(len(SIZES)))]
    (labelled / "labels.csv").write_text("file,label\n" + "".join(f"{name},a\n" for name in names))
    said = readable(read_source(labelled / "labels.csv"), skip_bad=False).messages[-1]
    assert said == (
        "images whose EXIF data are damaged, which are taken as upright: "
        "'20.jpg', '21.jpg', '22.jpg', '23.jpg', '24.jpg' and 2 more"
    )


def test_points_far_outside_of_their_image_are_said_with_an_example(labelled: Path) -> None:
    pixels = FRACTIONS * np.array(SIZES)[:, None]
    pixels[3, 1] = (2000, 10)
    source = readable(read_source(write(labelled, pixels)), skip_bad=False)
    (said,) = [message for message in source.messages if "far outside" in message]
    assert "points that are far outside of their image: 1; the first is (2000, 10) in" in said
    assert "03.png (points.csv line 5), an image of 640 x 480 pixels" in said
    pixels[3, 1] = (1279, 10)
    near = readable(read_source(write(labelled, pixels)), skip_bad=False)
    assert not [message for message in near.messages if "far outside" in message]


@pytest.mark.parametrize(("unit", "scale", "kind"), [("fraction", 1, "fractions"), ("percent", 100, "percentages")])
def test_points_that_cannot_have_the_unit_that_is_given_are_an_error(
    labelled: Path, unit: str, scale: int, kind: str
) -> None:
    points = FRACTIONS * scale
    points[3, 1] = (20 * scale, 0.5 * scale)
    with pytest.raises(
        InputError, match=rf"1 point cannot be {kind} of their image: the first is .* line 5\); leave `unit`"
    ):
        read_source(write(labelled, points), unit=unit)


@pytest.mark.parametrize(("unit", "scale"), [("fraction", -1), ("percent", -100), ("percent", 150)])
def test_points_that_are_implausible_once_they_are_converted_are_an_error(
    unit: str, scale: int, labelled: Path
) -> None:
    table = write(labelled, scale * (FRACTIONS * 0.3 + 0.7))
    with pytest.raises(InputError, match=f"converted from `unit='{unit}'`, .* are outside their image.*; leave"):
        read_source(table, unit=unit)


def test_fractions_are_no_percentages(labelled: Path) -> None:
    message = "points look like fractions of the image, not like percentages: .*; `unit='fraction'` converts them"
    with pytest.raises(InputError, match=message):
        read_source(write(labelled, FRACTIONS), unit="percent")
