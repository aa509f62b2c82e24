import base64
import errno
import hashlib
import itertools
import os
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from eyebright._optional import MissingExtraError
from eyebright.errors import ArtifactError, DataError
from eyebright.report.html import render_report, write_report
from eyebright.report.labels import LabelAnswers
from eyebright.types import Thresholds

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


def test_a_report_is_one_file_that_loads_nothing(data):
    text = render_report(data())
    page = Page(text)
    assert not re.search(r"https?://|//cdn|@import|url\(", text)
    assert page.all("link") == []
    assert len(page.all("script")) == 1
    assert "src" not in page.all("script")[0]
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert all(link["href"].startswith("#") for link in page.all("a"))


def test_a_report_allows_no_script_but_its_own(data):
    text = render_report(data())
    policy = next(m["content"] for m in Page(text).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}'" in policy


def test_labels_and_files_with_markup_in_their_names_show_as_text(data, answers, tmp_path):
    vocab = (HOSTILE, "{{ 7 * 7 }}", "<b>cat</b>", "</style><img src=x onerror=alert(1)>")
    nasty = replace(answers, vocab=vocab, targets=answers.targets.roll(1, dims=1))
    paths = [str(tmp_path / f"{HOSTILE}{i}.jpg") for i in range(60)]
    pairs = [(HOSTILE, HOSTILE)]
    changed = data(answers=nasty, paths=paths, title=HOSTILE, said=[HOSTILE], skipped=pairs, settings=pairs)
    page = Page(render_report(changed))
    assert len(page.all("script")) == 1
    assert page.all("img") == []  # the images are not there
    assert page.all("b") == []
    for name in vocab:
        assert name in page.text()
    assert page.text().count(HOSTILE) > 10


def test_a_report_can_be_read_without_seeing_it(data):
    page = Page(render_report(data()))
    assert page.all("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in page.all("img"))
    for drawing in page.all("svg"):
        assert drawing.get("aria-label") or drawing.get("aria-hidden") == "true"
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))


def test_every_link_leads_to_a_section_and_every_anchor_is_there_once(data):
    page = Page(render_report(data()))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert [link["href"] for link in page.all("a")] == [f"#{name}" for name in ids]


def test_a_report_tells_what_was_scored_read_split_skipped_and_set(data):
    changed = data()
    text = Page(render_report(changed)).text()
    for score in changed.scores:
        assert f"{score.name} {score.text} 95 % interval {score.low:.3f} to {score.high:.3f}" in text
        assert f"without looking {score.baseline:.3f}" in text
    for part in (
        "labels are split at ' ' (space)",
        "training images 100",
        "photos/broken.jpg zero bytes",
        "epochs 2",
    ):
        assert part in text
    assert "Left out: 1 image" in text
    assert "torch 2.15.0" in text


def test_what_is_not_there_has_no_section(data):
    bare = data(scores=[], history=[], said=[], split=[], skipped=[], settings=[], versions=[])
    ids = [attributes["id"] for _, attributes in Page(render_report(bare)).elements if "id" in attributes]
    assert ids == ["labels", "worst", "precision-recall", "thresholds"]


def test_a_report_of_one_image_and_one_label_is_written(data, paths):
    for chance, target in ((0.9, 1.0), (0.9, 0.0), (0.0, 0.0), (0.2, 1.0)):
        one = LabelAnswers(["cat"], torch.tensor([[chance]]), torch.tensor([[target]]), Thresholds())
        Page(render_report(data(answers=one, paths=paths[:1], scores=one.scores())))


def test_a_report_is_written_whole(data, tmp_path):
    path = write_report(data(), tmp_path / "new" / "report.html")
    assert path == tmp_path / "new" / "report.html"
    assert Page(path.read_text(encoding="utf-8")).text().startswith("Pantry")
    assert list(path.parent.iterdir()) == [path]


def test_a_file_name_that_is_no_text_is_written_all_the_same(data, tmp_path):
    path = write_report(data(skipped=[("caf\udce9.jpg", "zero bytes")]), tmp_path / "report.html")
    assert "caf\\udce9.jpg" in path.read_text(encoding="utf-8")


def test_a_full_disk_leaves_the_old_report_and_nothing_else(data, tmp_path, monkeypatch):
    path = tmp_path / "out" / "report.html"
    path.parent.mkdir()
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        ArtifactError, match=rf"cannot write the report '{re.escape(str(path))}': No space left on device"
    ):
        write_report(data(), path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_report_cannot_be_written_over_a_folder(data, tmp_path):
    with pytest.raises(ArtifactError, match="cannot write the report"):
        write_report(data(), tmp_path)


def test_each_image_needs_a_path(data):
    with pytest.raises(DataError, match="a report of 60 images needs as many paths, got 1"):
        render_report(data(paths=[Path("a.jpg")]))


def test_a_report_of_nothing_is_refused(data, answers):
    empty = replace(answers, probabilities=torch.zeros(0, 4), targets=torch.zeros(0, 4))
    with pytest.raises(DataError, match="at least one image"):
        render_report(data(answers=empty, paths=[]))


def test_without_jinja_the_pip_line_is_named(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"writing a report needs .*pip install 'eyebright\[report\]'"):
        render_report(data())
