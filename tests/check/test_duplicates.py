"""Planted copies are found in all orientations, and nothing else is."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.check.duplicates import DuplicatePair, Duplicates, find_duplicates
from eyebright.check.facts import read_facts
from eyebright.check.pixel_similarity import SIDE, pixel_similarity
from eyebright.image.cache import ImageCache
from support.photographs import copy_of, photograph, reencoded, saved

WHOLE = (0.0, 0.0, 1.0, 1.0)


def _found(paths: list[Path]) -> Duplicates:
    return find_duplicates(paths, read_facts(paths))


@pytest.mark.slow
def test_copies_are_found_in_all_orientations_and_nothing_else(tmp_path: Path) -> None:
    originals = {f"{i:03}.jpg": photograph(i) for i in range(120)}
    copies = {f"copy{i:03}.{'png' if i % 5 == 0 else 'jpg'}": copy_of(originals[f"{i:03}.jpg"], i) for i in range(48)}
    paths = saved(tmp_path, originals | copies)
    groups = _found(paths).groups()
    expected = {(i, 120 + i) for i in range(48)}
    assert set(groups) <= expected
    assert len(groups) >= 47


def test_two_photographs_of_one_scene_are_not_one_image(tmp_path: Path) -> None:
    scene = np.asarray(photograph(1)).copy()
    moved = scene.copy()
    moved[60:100, 80:130] = np.asarray(photograph(2))[60:100, 80:130]
    first, second = PIL.Image.fromarray(scene), PIL.Image.fromarray(moved)
    assert _found(saved(tmp_path, {"a.png": first, "b.png": second})).groups() == []
    assert _found(saved(tmp_path, {"a.png": first, "b.png": reencoded(first, 40)})).groups() == [(0, 1)]


def test_an_image_in_other_colours_is_another_image(tmp_path: Path) -> None:
    image = np.asarray(photograph(3))
    swapped = PIL.Image.fromarray(np.ascontiguousarray(image[..., [2, 1, 0]]))
    assert _found(saved(tmp_path, {"a.png": PIL.Image.fromarray(image), "b.png": swapped})).groups() == []


def test_equal_files_are_exact_and_blank_images_are_compared_by_content_only(tmp_path: Path) -> None:
    blank = PIL.Image.new("RGB", (90, 70), (250, 250, 250))
    paths = saved(tmp_path, {"a.jpg": photograph(1), "b.jpg": photograph(1), "c.png": blank, "d.jpg": blank})
    found = _found(paths)
    assert found.groups() == [(0, 1)]
    assert [pair.is_exact for pair in found.pairs] == [True]
    paths += saved(tmp_path, {"e.png": blank})
    assert _found(paths).groups() == [(0, 1), (2, 4)]


def test_unreadable_images_are_like_no_other(tmp_path: Path) -> None:
    paths = saved(tmp_path, {"a.jpg": photograph(1)})
    for name in ("b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    facts = read_facts([*paths, tmp_path / "b.jpg", tmp_path / "c.jpg", tmp_path / "missing.jpg"])
    assert sorted(facts.errors) == [1, 2, 3]
    assert _found([*paths, tmp_path / "b.jpg", tmp_path / "c.jpg"]).groups() == []


def test_a_film_is_a_large_group_and_keeps_only_equal_files_together(tmp_path: Path) -> None:
    frame = photograph(5)
    film = {f"film{i:02}.jpg": reencoded(frame, 40 + 2 * i) for i in range(14)}
    paths = saved(tmp_path, {f"{i:02}.jpg": photograph(100 + i) for i in range(30)} | film)
    paths += saved(tmp_path, {"film14.jpg": film["film13.jpg"]})
    found = _found(paths)
    assert found.large_groups() == [tuple(range(30, 45))]
    assert len(np.unique(found.codes(whole=True))) == 31
    codes = found.codes()
    assert codes[43] == codes[44]
    assert len(np.unique(codes)) == 44


def test_the_component_of_an_image_is_its_first_one() -> None:
    pairs = [DuplicatePair(*pair, 1.0, is_exact=False) for pair in ((4, 2), (3, 4), (0, 5), (1, 3))]
    assert Duplicates(7, pairs).codes(whole=True).tolist() == [0, 1, 1, 1, 1, 0, 6]


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_facts_from_a_cache_are_the_same(tmp_path: Path, kind: str) -> None:
    paths = saved(tmp_path / "images", {f"{i}.jpg": photograph(i) for i in range(3)})
    fresh = read_facts(paths)
    cache = ImageCache.in_memory() if kind == "memory" else ImageCache.in_folder(tmp_path / "cache")
    for _ in range(2):
        kept = read_facts(paths, cache=cache)
        assert np.array_equal(kept.signs, fresh.signs)
        assert np.array_equal(kept.digests, fresh.digests)
        assert np.array_equal(kept.colour, fresh.colour)
        assert list(kept.formats) == list(fresh.formats)
    assert cache.feature_hits == 3
    paths[0].write_bytes(paths[1].read_bytes())
    assert np.array_equal(read_facts(paths, cache=cache).digests[0], fresh.digests[1])


def test_an_image_is_like_itself_and_its_crop_but_not_like_another() -> None:
    image = photograph(7, (480, 480))
    shrunk = np.asarray(image.resize((SIDE, SIDE), PIL.Image.Resampling.BOX))
    other = np.asarray(photograph(8, (480, 480)).resize((SIDE, SIDE), PIL.Image.Resampling.BOX))
    cropped = np.asarray(image.crop((24, 12, 480, 470)).resize((SIDE, SIDE), PIL.Image.Resampling.BOX))
    assert pixel_similarity(shrunk, shrunk, WHOLE).mean > 0.9999
    assert pixel_similarity(shrunk, cropped, WHOLE).mean > 0.98
    assert pixel_similarity(shrunk, other, WHOLE).mean < 0.7
