"""`ImageCache` returns exactly the pixels that decoding gives, and decodes what it does not have."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import ImageError, InputError
from eyebright.image import cache as caches
from eyebright.image.cache import ImageCache
from eyebright.image.cache_store import SUBFOLDER
from eyebright.image.image import Image
from eyebright.image.warp import Warp
from eyebright.types import Size


@pytest.fixture(params=["memory", "folder"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> ImageCache:
    return ImageCache.in_memory() if request.param == "memory" else ImageCache.in_folder(tmp_path / "cache")


def read_pixels(path: Path | bytes, width: int, cache: ImageCache | None = None) -> np.ndarray:
    image = Image.create(path)
    return image.decode_for(Warp.resize(image.shape, Size(9, width)), cache)[0]


@pytest.mark.parametrize("orientation", [1, 6, 7])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_cached_pixels_equal_decoded_pixels(kind, orientation, cache, decode_calls, gradient, encode, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a"
    path.write_bytes(encode(gradient(401, 403), kind, exif=exif))
    for width in (20, 60, 120, 400):  # the image is reduced by 8, 4, 2 and 1
        expected = read_pixels(path, width)
        decode_calls.clear()
        for _ in range(3):
            assert np.array_equal(read_pixels(path, width, cache), expected)
        assert len(decode_calls) == 1
    assert (cache.hits, cache.lookups) == (8, 12)  # 3 lookups of 4 reductions; the first of each is a miss


def test_bytes_and_files_of_equal_content_share_one_cache_entry(cache, decode_calls, gradient, encode, tmp_path):
    data = encode(gradient(30, 40), "PNG")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(data)
        read_pixels(tmp_path / name, 40, cache)
    used_bytes = cache.store.used_bytes
    assert np.array_equal(read_pixels(data, 40, cache), gradient(30, 40))
    assert len(decode_calls) == 1
    assert cache.store.used_bytes == used_bytes


def test_an_image_in_memory_is_not_cached(cache, gradient):
    assert np.array_equal(read_pixels(gradient(30, 40), 40, cache), gradient(30, 40))
    assert (cache.lookups, cache.store.used_bytes) == (0, 0)


def test_a_changed_file_is_decoded_again_even_with_its_old_modification_time(cache, gradient, encode, tmp_path):
    path = tmp_path / "a.bmp"
    path.write_bytes(encode(gradient(30, 40), "BMP"))
    assert np.array_equal(read_pixels(path, 40, cache), gradient(30, 40))
    before = path.stat()
    for change in (gradient(30, 40)[::-1], gradient(30, 40)[:, ::-1]):
        path.write_bytes(encode(np.ascontiguousarray(change), "BMP"))
        assert np.array_equal(read_pixels(path, 40, cache), change)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size


def test_a_file_that_changed_after_its_header_was_read_is_refused_and_not_cached(cache, gradient, encode, tmp_path):
    path = tmp_path / "a.jpg"
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    path.write_bytes(encode(gradient(30, 40), "JPEG"))
    image = Image.create(path)
    path.write_bytes(encode(gradient(30, 40), "JPEG", exif=exif))
    for _ in range(2):
        with pytest.raises(ImageError, match=r"a.jpg': the file has changed since its header was read"):
            image.decode_for(Warp.identity(image.shape), cache)
    assert np.array_equal(read_pixels(path, 40, cache), read_pixels(path, 40))


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-200]), Path.unlink])
def test_an_unreadable_image_raises_the_same_error_with_and_without_a_cache(damage, cache, gradient, encode, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(gradient(60, 80), "JPEG"))
    image = Image.create(path)
    damage(path)
    errors = []
    for cache_or_none in (None, cache, cache):
        with pytest.raises(ImageError, match="a.jpg") as error:
            image.decode_for(Warp.identity(image.shape), cache_or_none)
        errors.append((str(error.value), error.value.path))
    assert len(set(errors)) == 1
    assert cache.store.used_bytes == 0


@pytest.mark.parametrize("library", [caches.PIL, caches.cv2])
def test_another_version_of_a_decoder_does_not_use_old_entries(
    library, tmp_path, decode_calls, gradient, encode, monkeypatch
):
    data = encode(gradient(30, 40), "JPEG")
    read_pixels(data, 40, ImageCache.in_folder(tmp_path))
    read_pixels(data, 40, ImageCache.in_folder(tmp_path))
    assert len(decode_calls) == 1
    monkeypatch.setattr(library, "__version__", "99.0")
    read_pixels(data, 40, ImageCache.in_folder(tmp_path))
    assert len(decode_calls) == 2


def test_a_damaged_cache_is_repaired(tmp_path, decode_calls, gradient, encode):
    data = encode(gradient(30, 40), "JPEG")
    expected = read_pixels(data, 40)
    read_pixels(data, 40, ImageCache.in_folder(tmp_path))
    [path] = [path for path in (tmp_path / SUBFOLDER).rglob("*") if path.is_file()]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    decode_calls.clear()
    for _ in range(2):
        assert np.array_equal(read_pixels(data, 40, ImageCache.in_folder(tmp_path)), expected)
    assert len(decode_calls) == 1


def test_the_repr_reports_hits_size_and_the_reached_limit(tmp_path, gradient, encode):
    limit = 2_000_000
    cache = ImageCache.in_folder(tmp_path, limit)
    for number in range(3):
        for _ in range(2):
            read_pixels(encode(gradient(500, 600 + number), "PNG"), 600, cache)
    assert repr(cache) == (
        f"ImageCache: 2 of 6 lookups of images were hits in '{tmp_path}', which has 2 MB; "
        "it is full (limit 2 MB), so the other images are decoded each time"
    )


def test_the_repr_reads_no_folder(tmp_path, gradient, encode, monkeypatch):
    cache = ImageCache.in_folder(tmp_path)
    read_pixels(encode(gradient(500, 600), "PNG"), 600, cache)
    monkeypatch.setattr(os, "scandir", None)  # a call would raise
    assert repr(cache) == f"ImageCache: 0 of 1 lookups of images were hits in '{tmp_path}', which has 1 MB"


def test_the_cache_option_is_memory_a_folder_a_cache_or_none(tmp_path: Path) -> None:
    assert ImageCache.from_option(None) is None
    assert ImageCache.from_option("memory").store.location == "memory"  # type: ignore[union-attr]
    assert ImageCache.from_option(tmp_path).store.location == f"'{tmp_path}'"  # type: ignore[union-attr]
    cache = ImageCache.in_memory(limit=5)
    assert ImageCache.from_option(cache) is cache
    for value in (True, 3, ""):
        with pytest.raises(InputError, match="cache must be 'memory', a folder, a ImageCache or None, got"):
            ImageCache.from_option(value)  # type: ignore[arg-type]


def test_many_threads_can_share_a_cache(cache, gradient, encode, in_threads: Callable):
    files = [encode(gradient(60, 80 + number), "PNG") for number in range(4)]
    results = in_threads(lambda number: read_pixels(files[number % 4], 80, cache), 64)
    for number, pixels in enumerate(results):
        assert np.array_equal(pixels, gradient(60, 80 + number % 4))
    assert cache.lookups == 64
    assert cache.hits >= 32


@pytest.fixture
def in_threads() -> Callable:
    from concurrent.futures import ThreadPoolExecutor

    def run(function: Callable[[int], np.ndarray], count: int) -> list[np.ndarray]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(function, range(count)))

    return run
