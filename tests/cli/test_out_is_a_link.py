"""A symbolic link that a user names as a file to write stays, and the file that it leads to is written."""

from pathlib import Path

import pytest

from eyebright.cli.main import run
from support.label_files import images, write_text

COMMANDS = {
    "check": ["check", "labels.csv", "--no-pixels", "--json"],
    "page": ["check", "labels.csv", "--no-pixels", "--page"],
    "split": ["split", "labels.csv", "--no-pixels", "--out"],
    "csv": ["convert", "labels.csv", "--to", "csv", "--out"],
    "coco": ["convert", "labels.csv", "--to", "coco", "--out"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_target_of_a_link_is_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images(tmp_path, *(f"{i:02}.png" for i in range(20)))
    write_text(tmp_path / "labels.csv", "\n".join(["file,labels", *(f"{i:02}.png,{'ab'[i % 2]}" for i in range(20))]))
    link, target = tmp_path / "out", tmp_path / "store" / "content"
    link.symlink_to(target)
    assert run([*COMMANDS[name], str(link)]) == 0
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8")
    assert [path.name for path in target.parent.iterdir()] == ["content"]
