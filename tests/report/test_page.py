import base64
import errno
import hashlib
import itertools
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from eyebright.errors import ArtifactError, DataError
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.web.page import render_page, write_page
from support.evaluations import logits, make_evaluation

ALONE = {"meta", "img", "circle", "path", "link", "br"}  # elements that hold nothing
HOSTILE = "<script>alert('x')</script>\"'&"


class Page(HTMLParser):
    """The elements of a page, with what they hold; every element must be closed by its own end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute stands twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag not in ALONE:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open and "script" not in self._open:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_a_report_is_one_file_that_loads_no_other(page):
    text = render_page(page())
    parsed = Page(text)
    assert not re.search(r"https?://|//cdn|@import|url\(", text)
    assert parsed.all("link") == []
    assert len(parsed.all("script")) == 1
    assert "src" not in parsed.all("script")[0]
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in parsed.all("img"))
    assert all(link["href"].startswith("#") for link in parsed.all("a"))


def test_the_content_policy_allows_only_the_script_of_the_report(page):
    text = render_page(page())
    policy = next(m["content"] for m in Page(text).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}'" in policy


def test_markup_in_names_of_labels_and_files_is_escaped(page, evaluation, tmp_path):
    vocab = (HOSTILE, "{{ 7 * 7 }}", "<b>cat</b>", "</style><img src=x onerror=alert(1)>")
    nasty = replace(
        evaluation,
        decision=Decision(MultiCategoryBlock(vocab=vocab)),
        targets=evaluation.targets.roll(1, dims=1),
        files=tuple(f"{HOSTILE}{i}.jpg" for i in range(60)),
        root=tmp_path,
    )
    pairs = [(HOSTILE, HOSTILE)]
    changed = page(nasty, title=HOSTILE, messages=[HOSTILE], skipped=pairs, settings=pairs)
    read = Page(render_page(changed))
    assert len(read.all("script")) == 1
    assert read.all("img") == []  # no such images
    assert read.all("b") == []
    for name in vocab:
        assert name in read.text()
    assert read.text().count(HOSTILE) > 10


def test_images_and_charts_have_alternative_texts(page):
    parsed = Page(render_page(page()))
    assert parsed.all("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in parsed.all("img"))
    for drawing in parsed.all("svg"):
        assert drawing.get("aria-label") or drawing.get("aria-hidden") == "true"
    assert all(head.get("scope") in ("col", "row") for head in parsed.all("th"))
    headings = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))


def test_links_lead_to_sections_and_anchors_are_unique(page):
    parsed = Page(render_page(page()))
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert [link["href"] for link in parsed.all("a")] == [f"#{name}" for name in ids]


def test_a_report_shows_scores_messages_split_skipped_images_and_settings(page):
    data = page()
    text = Page(render_page(data)).text()
    for row in data.metric_rows:
        assert f"{row.name} {row.text} 95 % CI {row.low:.3f}-{row.high:.3f}" in text
        assert f"baseline {row.baseline:.3f}" in text
    for part in (
        "labels are split at ' ' (space)",
        "training images 100",
        "photos/broken.jpg zero bytes",
        "epochs 2",
    ):
        assert part in text
    assert "Skipped: 1 image" in text
    assert "torch 2.15.0" in text


def test_empty_facts_have_no_section(page):
    bare = page(history=[], messages=[], split=[], skipped=[], settings=[], versions=[])
    ids = [attributes["id"] for _, attributes in Page(render_page(bare)).elements if "id" in attributes]
    shown = ["glance", "scores", "labels", "worst", "mixed-up", "precision-recall", "thresholds", "calibration"]
    assert ids == [*shown, "suspects", "mistakes"]
    no_scores = Page(render_page(replace(bare, metric_rows=())))
    assert "scores" not in [attributes.get("id") for _, attributes in no_scores.elements]


def test_a_report_of_one_image_and_one_label_is_written(page, paths):
    task = MultiCategoryBlock(vocab=["cat"])
    for probability, target in ((0.9, 1.0), (0.9, 0.0), (0.0, 0.0), (0.2, 1.0)):
        outputs = logits(torch.tensor([[probability]]))
        Page(render_page(page(make_evaluation(task, outputs, torch.tensor([[target]]), paths=paths[:1]))))


def test_a_report_is_written_completely(page, tmp_path):
    path = write_page(page(), tmp_path / "new" / "report.html")
    assert path == tmp_path / "new" / "report.html"
    assert Page(path.read_text(encoding="utf-8")).text().startswith("Pantry")
    assert list(path.parent.iterdir()) == [path]


def test_file_names_that_are_not_valid_unicode_are_written(page, tmp_path):
    path = write_page(page(skipped=[("caf\udce9.jpg", "zero bytes")]), tmp_path / "report.html")
    assert "caf\\udce9.jpg" in path.read_text(encoding="utf-8")


def test_a_full_disk_keeps_the_old_report_and_leaves_no_temporary_file(page, tmp_path, monkeypatch):
    path = tmp_path / "out" / "report.html"
    path.parent.mkdir()
    path.write_text("<!DOCTYPE html>old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        ArtifactError, match=rf"cannot write the report '{re.escape(str(path))}': No space left on device"
    ):
        write_page(page(), path)
    assert path.read_text() == "<!DOCTYPE html>old"
    assert list(path.parent.iterdir()) == [path]


def test_writing_a_report_over_a_folder_is_an_error(page, tmp_path):
    with pytest.raises(ArtifactError, match="cannot write the report"):
        write_page(page(), tmp_path)


def test_a_report_without_images_is_an_error(page):
    with pytest.raises(DataError, match="an evaluation needs at least one image, got none"):
        page(make_evaluation(MultiCategoryBlock(vocab=["cat"]), torch.zeros(0, 1), torch.zeros(0, 1)))


def test_missing_images_have_no_thumbnail_and_a_notice(page, paths):
    whole = page()
    assert whole.notices == []
    for path in paths:
        Path(path).unlink()
    gone = page()
    blocks = [block for section in gone.sections for block in section.blocks]
    blocks += [inner for block in blocks if block.kind == "collapsed" for inner in block.blocks]
    shown = len({card.path for block in blocks if block.kind == "gallery" for card in block.cards})
    assert gone.notices[0].startswith(
        f"{shown} of {shown} images on this page could not be read, or are not the evaluated ones, and "
        "have no thumbnail;"
    )
    assert gone.notices[0] in Page(render_page(gone)).text()
    assert (gone.metric_rows, gone.summary) == (whole.metric_rows, whole.summary)


def test_the_notice_of_one_missing_image_is_in_the_singular(page, paths):
    Path(paths[0]).unlink()
    (notice,) = page().notices
    assert re.match(r"1 of \d+ images on this page could not be read, or is not the evaluated one, and has no", notice)


def test_the_page_has_the_date_of_the_model(page):
    assert "Model saved 2026-11-25 14:03:00 UTC." in Page(render_page(page())).text()
    assert "Model saved" not in Page(render_page(page(created=""))).text()
