"""The new table: what was changed is in it, everything else stays, and no other file is replaced."""

import json

import numpy as np
import pandas as pd
import pytest

from eyebright.review.items import ReviewItems
from eyebright.review.values import Vocabulary, unknown_values
from eyebright.sources.read import read_source
from support.reviews import change, get, label_items, make_images, open_app, post

FILES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")


@pytest.fixture
def source(tmp_path):
    make_images(tmp_path / "photos", FILES)
    table = "file,camera,split,labels\na.jpg,x,train,cat\nb.jpg,y,valid,cat;dog\nc.jpg,x,train,\n"
    (tmp_path / "labels.csv").write_text(table)
    return read_source(tmp_path / "labels.csv", images=tmp_path / "photos")


def saved(app, sent="1"):
    return post(app, "api/save", {}, x=sent)


def read_back(path, images, **options):
    found = read_source(path, images=images, **options)
    targets = {str(file): found[row].target for row, file in enumerate(found.files)}
    return found, targets


def test_changes_are_in_the_table_and_the_rest_stays(tmp_path, source):
    items = label_items(source.root, FILES, [[1, 0], [1, 1], [0, 0], [np.nan, np.nan]])
    out = tmp_path / "labels-v2.csv"
    app = open_app(items, tmp_path / "review", source=source, out=out)
    changes = [change(0, "dog", "no", "yes"), change(1, "cat", "yes", "unknown"), change(3, "cat", "unknown", "yes")]
    post(app, "api/change", {"action": "1", "changes": changes})
    answer = saved(app).json
    assert (answer["rows"], answer["format"], answer["path"]) == (4, "csv", str(out))
    assert answer["command"].startswith(f"eyebright train {out} --images {source.root.resolve()} ")
    found, targets = read_back(out, source.root, labels=["cat", "dog"])
    assert {name: (sorted(one), sorted(one.unknown)) for name, one in targets.items()} == {
        "a.jpg": (["cat", "dog"], []),
        "b.jpg": (["dog"], ["cat"]),
        "c.jpg": ([], []),
        "d.jpg": (["cat"], ["dog"]),
    }
    assert found.part is not None
    assert list(found.part)[:3] == ["train", "valid", "train"]
    assert pd.read_csv(out)["camera"].tolist()[:3] == ["x", "y", "x"]
    assert (tmp_path / "labels.csv").read_text().endswith("c.jpg,x,train,\n")
    app.close()


def test_a_label_file_that_changed_since_is_said_and_left_as_it_is(tmp_path, source):
    items = label_items(source.root, FILES[:3], [[1, 0], [1, 1], [0, 0]])
    origin = tmp_path / "labels.csv"
    app = open_app(items, tmp_path / "review", source=source, out=tmp_path / "new.csv", origin=origin)
    post(app, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes")]})
    assert "has changed" not in saved(app).json["sentence"]
    content = origin.read_text() + "d.jpg,y,train,dog\n"
    origin.write_text(content)
    said = saved(app, "2").json["sentence"]
    assert f"'{origin}' has changed since it was read here: its changes are not in this table" in said
    assert origin.read_text() == content
    app.close()


def test_a_new_label_is_unknown_where_nobody_said_it(tmp_path, source):
    items = label_items(source.root, FILES[:3], [[1, 0], [1, 1], [0, 0]])
    out = tmp_path / "new.csv"
    app = open_app(items, tmp_path / "review", source=source, out=out)
    for name in ("bird", "unused"):
        post(app, "api/label", {"action": name, "add": name})
    post(app, "api/change", {"action": "1", "changes": [change(2, "bird", "unknown", "yes")]})
    saved(app)
    _, targets = read_back(out, source.root, labels=["bird", "cat", "dog"])
    assert {name: sorted(one.unknown) for name, one in targets.items()} == {
        "a.jpg": ["bird"], "b.jpg": ["bird"], "c.jpg": [],
    }  # fmt: skip
    assert "unused" not in out.read_text()
    app.close()


def test_only_a_table_of_this_review_is_replaced(tmp_path, source):
    items = label_items(source.root, FILES[:3], [[1, 0], [1, 1], [0, 0]])
    out = tmp_path / "labels.csv"
    before = out.read_text()
    app = open_app(items, tmp_path / "review", source=source, out=out)
    answer = saved(app)
    assert answer.status == 409
    assert "was not written by this review" in answer.json["error"]
    assert out.read_text() == before
    app.close()
    out = tmp_path / "other.csv"
    app = open_app(items, tmp_path / "review", source=source, out=out)
    assert saved(app).status == saved(app).status == 200
    assert get(app, "api/state").json["saved"]["path"] == str(out)
    app.close()
    again = open_app(items, tmp_path / "review", source=source, out=out)
    assert saved(again).status == 200
    out.write_text("mine")
    assert saved(again).status == 409
    assert out.read_text() == "mine"
    again.close()


def test_coco_stays_coco_unless_something_is_unknown(tmp_path, source):
    part = source.take([0, 2])
    items = label_items(source.root, ("a.jpg", "c.jpg"), [[1, 0], [0, 0]])
    from dataclasses import replace

    source = replace(part, part=None)
    app = open_app(items, tmp_path / "review", source=source, out=tmp_path / "new.json", to="coco")
    post(app, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes")]})
    assert saved(app).json["format"] == "coco"
    assert len(json.loads((tmp_path / "new.json").read_text())["annotations"]) == 2
    post(app, "api/change", {"action": "2", "changes": [change(0, "dog", "yes", "unknown")]})
    answer = saved(app).json
    assert (answer["format"], answer["path"]) == ("csv", str(tmp_path / "new.csv"))
    assert len(json.loads((tmp_path / "new.json").read_text())["annotations"]) == 2
    assert read_back(tmp_path / "new.csv", items.root, labels=["cat", "dog"])[1]["a.jpg"].unknown == {"dog"}
    assert "COCO cannot hold unknown labels" in answer["sentence"]
    app.close()


@pytest.mark.parametrize(
    ("kind", "names", "cell", "value", "written"),
    [
        ("class", ("cat", "dog"), "", "dog", "dog"),
        ("points", ("nose",), "nose", [1.5, 2.0], [[1.5, 2.0]]),
        ("numbers", ("age",), "age", 7.5, [7.5]),
    ],
)
def test_from_nothing_what_is_known_is_written(tmp_path, kind, names, cell, value, written):
    make_images(tmp_path / "photos", FILES)
    vocabulary = Vocabulary(kind, names)
    items = ReviewItems(vocabulary, tmp_path / "photos", FILES, unknown_values(vocabulary, 4))
    out = tmp_path / "labels.csv"
    app = open_app(items, tmp_path / "review", out=out)
    assert "nothing is known" in saved(app).json["error"]
    post(app, "api/change", {"action": "1", "changes": [change(2, cell, "unknown", value)]})
    answer = saved(app).json
    assert answer["rows"] == 1
    found = read_source(out, images=tmp_path / "photos", kind=kind)
    target = found[0].target
    assert (target if kind == "class" else target.tolist()) == written
    app.close()


def test_names_that_are_no_utf8_are_left_out_of_the_table_and_said(tmp_path):
    items = label_items(tmp_path, ("a.jpg", "\udcff.jpg"))
    app = open_app(items, tmp_path / "review", out=tmp_path / "new.csv")
    changes = [change(row, "cat", "unknown", "yes") for row in (0, 1)]
    post(app, "api/change", {"action": "1", "changes": changes})
    answer = saved(app).json
    assert answer["rows"] == 1
    assert "1 image whose names are no UTF-8" in answer["sentence"]
    app.close()


def test_what_the_session_does_not_know_stays_as_the_label_file_has_it(tmp_path, source):
    unknown = [np.nan, np.nan]
    items = label_items(source.root, FILES[:3], [unknown, unknown, [0, 0]])
    out = tmp_path / "new.csv"
    app = open_app(items, tmp_path / "review", source=source, out=out)
    post(app, "api/change", {"action": "1", "changes": [change(1, "cat", "unknown", "no")]})
    saved(app)
    _, targets = read_back(out, source.root)
    assert {name: (sorted(one), sorted(one.unknown)) for name, one in targets.items()} == {
        "a.jpg": (["cat"], []), "b.jpg": (["dog"], []), "c.jpg": ([], []),
    }  # fmt: skip
    app.close()


def test_an_added_label_that_the_label_file_has_keeps_its_cells(tmp_path, source):
    items = label_items(source.root, FILES, [[1], [1], [0], [np.nan]], labels=("cat",))
    out = tmp_path / "new.csv"
    app = open_app(items, tmp_path / "review", source=source, out=out)
    post(app, "api/label", {"action": "1", "add": "dog"})
    changes = [change(2, "dog", "unknown", "yes"), change(3, "cat", "unknown", "yes")]
    post(app, "api/change", {"action": "2", "changes": changes})
    assert saved(app).status == 200
    _, targets = read_back(out, source.root, labels=["cat", "dog"], blank="unknown")
    assert {name: (sorted(one), sorted(one.unknown)) for name, one in targets.items()} == {
        "a.jpg": (["cat"], []), "b.jpg": (["cat", "dog"], []), "c.jpg": (["dog"], []), "d.jpg": (["cat"], ["dog"]),
    }  # fmt: skip
    app.close()


def test_rows_that_were_deleted_from_the_label_file_stay_deleted_and_it_is_said(tmp_path, source):
    items = label_items(source.root, FILES, [[1, 0], [1, 1], [0, 0], [1, 0]])
    out = tmp_path / "new.csv"
    app = open_app(items, tmp_path / "review", source=source, out=out)
    answer = saved(app).json
    assert (answer["rows"], "1 image of the model that the label file no longer has" in answer["sentence"]) == (
        3,
        True,
    )
    post(app, "api/change", {"action": "1", "changes": [change(3, "dog", "no", "yes")]})
    assert saved(app, "2").json["rows"] == 4
    app.close()


def test_whole_numbers_stay_whole_where_a_row_is_added(tmp_path):
    make_images(tmp_path / "photos", FILES)
    (tmp_path / "labels.csv").write_text("file,site,labels\na.jpg,3,cat\nb.jpg,4,cat;dog\n")
    source = read_source(tmp_path / "labels.csv", images=tmp_path / "photos", labels=["labels"])
    items = label_items(source.root, FILES[:3], [[1, 0], [1, 1], [np.nan, np.nan]])
    out = tmp_path / "new.csv"
    app = open_app(items, tmp_path / "review", source=source, out=out)
    post(app, "api/change", {"action": "1", "changes": [change(2, "cat", "unknown", "yes")]})
    saved(app)
    assert pd.read_csv(out, dtype=str, keep_default_na=False)["site"].tolist() == ["3", "4", ""]
    app.close()


def test_a_table_is_noted_before_it_is_there(tmp_path, source, monkeypatch):
    items = label_items(source.root, FILES[:3], [[1, 0], [1, 1], [0, 0]])
    out = tmp_path / "new.csv"
    app = open_app(items, tmp_path / "review", source=source, out=out)
    there = []
    noted = app.session.note_saved
    monkeypatch.setattr(app.session, "note_saved", lambda saved: there.append(out.exists()) or noted(saved))
    assert saved(app).status == 200
    assert there == [False]
    app.close()
