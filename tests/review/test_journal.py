"""The journal: nothing that was shown as saved is lost, whatever happens to the process or the disk."""

import errno
import json
import os
import signal
import subprocess
import sys

import pytest

from eyebright.errors import ArtifactError, InputError
from eyebright.review.journal import FORMAT, Journal, files_in_journal
from eyebright.review.refusal import Refusal
from support.reviews import change, get, label_items, open_app, post

FILES = ('it\'s "a".jpg', "<script>alert(1)</script>.jpg", "a\nb\x1b.jpg", "\udcff.jpg")
NOTHING = [[0, 0]] * 4


def reopened(path):
    journal, content = Journal.open(path, "labels")
    journal.close()
    return content


def test_names_of_any_characters_are_found_again(tmp_path):
    app = open_app(label_items(tmp_path, FILES, NOTHING), tmp_path / "review")
    changes = [change(row, "cat", "no", "yes") for row in range(4)]
    assert post(app, "api/change", {"action": "1", "changes": changes}).status == 200
    assert [item["file"] for item in get(app, "api/items").json["items"]] == sorted(FILES)
    app.close()
    again = open_app(label_items(tmp_path, FILES, NOTHING), tmp_path / "review")
    assert all(item["current"]["cat"] == "yes" for item in get(again, "api/items").json["items"])
    again.close()


def test_a_half_written_last_line_is_set_aside_and_said(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal, _ = Journal.open(path, "labels")
    journal.append({"revision": 1})
    journal.close()
    before = path.read_bytes()
    path.write_bytes(before + b'{"revision": 2, "act')
    content = reopened(path)
    assert [entry["revision"] for entry in content.entries] == [1]
    assert "half-written" in content.notices[0]
    assert path.read_bytes() == before
    (aside,) = tmp_path.glob("journal.jsonl.half-line-*")
    assert aside.read_bytes() == b'{"revision": 2, "act'
    assert not reopened(path).notices


def test_a_journal_that_is_closed_never_writes_into_the_file_that_is_opened_next(tmp_path):
    app = open_app(label_items(tmp_path, FILES, NOTHING), tmp_path / "review")
    app.close()
    with (tmp_path / "other.bin").open("wb"):  # takes the number of the journal's file
        answer = post(app, "api/change", {"action": "1", "changes": [change(0, "cat", "no", "yes")]})
        app.close()
    assert answer.status == 507
    assert "cannot be written" in answer.json["error"]
    assert (tmp_path / "other.bin").read_bytes() == b""


def test_a_full_disk_refuses_the_action_and_the_journal_is_as_it_was(tmp_path, monkeypatch):
    app = open_app(label_items(tmp_path, FILES, NOTHING), tmp_path / "review")
    path = tmp_path / "review/journal.jsonl"
    before, write = path.read_bytes(), os.write

    def half(descriptor, data):
        return write(descriptor, data[: len(data) // 2])

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    for failing in (half, full):
        monkeypatch.setattr(os, "write", failing)
        answer = post(app, "api/change", {"action": "1", "changes": [change(0, "cat", "no", "yes")]})
        assert answer.status == 507
        assert "No space left on device" in answer.json["error"]
        assert path.read_bytes() == before
        assert get(app, "api/item/0").json["current"]["cat"] == "no"
    monkeypatch.undo()
    assert post(app, "api/change", {"action": "1", "changes": [change(0, "cat", "no", "yes")]}).status == 200
    app.close()


def test_a_process_that_is_killed_loses_nothing_that_was_answered(tmp_path):
    path = tmp_path / "journal.jsonl"
    program = (
        "import sys\nfrom pathlib import Path\nfrom eyebright.review.journal import Journal\n"
        "journal, _ = Journal.open(Path(sys.argv[1]), 'labels')\n"
        "for number in range(1000000):\n    journal.append({'revision': number}); print(number, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    answered = [int(child.stdout.readline()) for _ in range(20)]
    child.send_signal(signal.SIGKILL)
    answered += [int(line) for line in child.stdout]
    child.stdout.close()
    child.wait()
    revisions = [entry["revision"] for entry in reopened(path).entries]
    assert revisions[: len(answered)] == answered


def test_two_processes_do_not_write_one_journal(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal, _ = Journal.open(path, "labels")
    with pytest.raises(ArtifactError, match="another `eyebright review` has .* open"):
        Journal.open(path, "labels")
    journal.close()
    reopened(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format": "eyebright review journal", "version": 2, "kind": "labels"}, "written by a newer version"),
        (
            {"format": "eyebright review journal", "version": 1, "kind": "points"},
            "a review of points, but these images",
        ),
        ({"revision": 1}, "is not a journal of a review"),
    ],
)
def test_other_journals_are_refused_and_stay_as_they_are(tmp_path, header, message):
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(header) + "\n")
    with pytest.raises(InputError, match=message):
        Journal.open(path, "labels")
    assert path.read_text() == json.dumps(header) + "\n"


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "journal.jsonl"
    reopened(path)
    with path.open("ab") as file:
        file.write(b"\xff\xfe\n")
    with pytest.raises(ArtifactError, match=r"line 2 of the journal .* is damaged"):
        Journal.open(path, "labels")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="cannot write the journal"):
        Journal.open(tmp_path / "file/journal.jsonl", "labels")


def test_what_is_no_json_is_not_written(tmp_path):
    journal, _ = Journal.open(tmp_path / "journal.jsonl", "labels")
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.append({"revision": float("nan")})
    journal.close()
    with pytest.raises(Refusal, match="not saved"):
        journal.append({"revision": 1})


def test_nothing_is_written_behind_a_half_line_that_cannot_be_removed(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    journal, _ = Journal.open(path, "labels")
    write = os.write

    def failing(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
    monkeypatch.setattr(os, "ftruncate", failing)
    with pytest.raises(Refusal, match="cannot be written"):
        journal.append({"revision": 1})
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(Refusal, match="half-written line"):
        journal.append({"revision": 2})
    monkeypatch.undo()
    journal.append({"revision": 3})
    journal.close()
    assert [entry["revision"] for entry in reopened(path).entries] == [3]


def test_the_files_of_a_journal_are_read_while_it_is_open(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal, _ = Journal.open(path, "class")
    assert files_in_journal(path) == frozenset()
    journal.append({"revision": 1, "changes": [{"file": "a.jpg"}, {"file": "b.jpg"}], "reviewed": ["c.jpg"]})
    journal.append({"revision": 2, "add": "dog"})
    assert files_in_journal(path) == {"a.jpg", "b.jpg", "c.jpg"}
    journal.close()


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, ArtifactError, "cannot read the journal of the review"),
        ("", InputError, "is not a journal of a review"),
        ('{"file": 1}\n', InputError, "is not a journal of a review"),
        (f'{{"format": "{FORMAT}", "version": 1, "kind": "class"}}\nx\n', ArtifactError, "line 2 of the journal"),
        (
            f'{{"format": "{FORMAT}", "version": 1}}\n{{"changes": [1]}}\n',
            ArtifactError,
            "is not an action of a review",
        ),
        (f'{{"format": "{FORMAT}", "version": 9}}\n', InputError, "newer version"),
    ],
)
def test_the_files_of_what_is_no_journal_are_refused(tmp_path, content, error, message):
    path = tmp_path / "journal.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(error, match=message):
        files_in_journal(path)


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced", "folder moved"])
def test_an_action_is_refused_while_the_journal_is_not_at_its_place_and_saved_when_it_is_back(tmp_path, how):
    app = open_app(label_items(tmp_path, FILES, NOTHING), tmp_path / "review")
    path, aside = tmp_path / "review/journal.jsonl", tmp_path / "aside"
    os.link(path, aside)
    if how == "folder moved":
        path.parent.rename(tmp_path / "elsewhere")
    else:
        path.unlink()
    if how == "replaced":
        path.write_bytes(aside.read_bytes())
    before = aside.read_bytes()
    answer = post(app, "api/change", {"action": "1", "changes": [change(0, "cat", "no", "yes")]})
    assert answer.status == 507
    assert "was moved, deleted or replaced while this review had it open" in answer.json["error"]
    assert aside.read_bytes() == before
    path.parent.mkdir(exist_ok=True)
    aside.replace(path)
    assert post(app, "api/change", {"action": "2", "changes": [change(0, "cat", "no", "yes")]}).status == 200
    assert len(path.read_bytes().splitlines()) == 2
    app.close()
