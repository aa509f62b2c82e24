"""Images in tar and Parquet files are read where they lie, and broken containers are an error that says so."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from eyebright.errors import ImageError, InputError
from eyebright.image.cache import file_signature
from eyebright.image.image import Image
from eyebright.io.containers import Signature, container_of, parquet_members, tar_members
from support.containers import IMAGES, image_structs, png, write_parquet, write_tar


def grey(path: str) -> int:
    return int(np.unique(Image.create(path).pixels()).item())


def test_a_member_of_a_tar_file_is_decoded_like_a_file(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", [("./x/1.png", png(10)), ("2.png", png(20)), ("notes.txt", b"hello")])
    assert (grey(f"{tar}::x/1.png"), grey(f"{tar}::2.png")) == (10, 20)
    assert Image.create(f"{tar}::2.png").path == f"{tar}::2.png"
    assert list(tar_members(Signature.of(tar))) == ["x/1.png", "2.png", "notes.txt"]


def test_rows_of_a_parquet_file_are_decoded_whatever_row_group_they_are_in(tmp_path: Path) -> None:
    file = write_parquet(
        tmp_path / "a.parquet", {"image": image_structs(["a.png", "b.png", "c.png", "d.png", "e.png"])}
    )
    assert [grey(f"{file}::{name}.png") for name in "ecabd"] == [80, 40, 0, 20, 60]


def test_rows_without_a_name_of_their_own_are_named_by_their_number(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", {"image": image_structs(["a.png", None, "b.png", "b.png"])})
    assert list(parquet_members(Signature.of(file))) == ["a.png", "#1", "#2", "#3"]
    assert [grey(f"{file}::#{row}") for row in (1, 2, 3)] == [20, 40, 60]


def test_a_column_of_bytes_alone_holds_images_too(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", {"image": pa.array([png(10), png(20)], pa.large_binary())})
    assert grey(f"{file}::#1") == 20


def test_a_file_with_such_a_name_is_read_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tar::1.png"
    path.write_bytes(png(30))
    assert container_of(str(path)) is None
    assert grey(str(path)) == 30


def test_a_container_that_changes_is_read_again(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", [("1.png", png(10))])
    before = file_signature(f"{tar}::1.png")
    assert grey(f"{tar}::1.png") == 10
    write_tar(tar, [("0.png", png(90)), ("1.png", png(50))])
    os.utime(tar, ns=(1, 1))
    assert grey(f"{tar}::1.png") == 50
    assert file_signature(f"{tar}::1.png") != before


def test_what_a_tar_file_has_not_is_an_error_that_names_it(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", [("1.png", png(10))])
    with pytest.raises(ImageError, match=r"cannot read image '.*a.tar::2.png': '.*a.tar' has no member '2.png'"):
        Image.create(f"{tar}::2.png")
    with pytest.raises(ImageError, match="No such file or directory"):
        Image.create(f"{tmp_path}/b.tar::2.png")


def test_a_link_in_a_tar_file_is_no_member(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("1.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(ImageError, match="has no member '1.png'"):
        Image.create(f"{path}::1.png")


def test_a_tar_file_that_is_cut_off_compressed_or_of_another_kind_is_an_error(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "a.tar", [("1.png", png(10)), ("2.png", png(20) * 50)]).read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[:3000])
    with pytest.raises(InputError, match=r"cut.tar' is cut off in '2.png'|cut.tar' cannot be read as a tar file"):
        tar_members(Signature.of(cut))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("1.png"))
    other = tmp_path / "other.tar"
    other.write_bytes(packed.getvalue())
    with pytest.raises(InputError, match="a tar file that is not compressed was expected"):
        tar_members(Signature.of(other))
    twice = write_tar(tmp_path / "twice.tar", [("1.png", png(10)), ("./1.png", png(20))])
    with pytest.raises(InputError, match="has two members '1.png'"):
        tar_members(Signature.of(twice))


def test_a_parquet_file_that_is_broken_or_lacks_bytes_is_an_error(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", {"image": image_structs(["a.png", "b.png"])})
    with pytest.raises(ImageError, match="a.parquet' has no image 'c.png'"):
        Image.create(f"{file}::c.png")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ImageError, match="a.parquet' cannot be read as Parquet"):
        Image.create(f"{file}::a.png")
    nothing = pa.array([{"bytes": None, "path": "a.png"}], IMAGES)
    with pytest.raises(ImageError, match="b.parquet' has no bytes for the image 'a.png'"):
        Image.create(f"{write_parquet(tmp_path / 'b.parquet', {'image': nothing})}::a.png")
    with pytest.raises(ImageError, match="c.parquet' has no column with bytes of images"):
        Image.create(f"{write_parquet(tmp_path / 'c.parquet', {'image': ['a.png']})}::a.png")
    several = {"left": image_structs(["a.png"]), "right": image_structs(["b.png"])}
    with pytest.raises(ImageError, match="several columns with bytes of images .'left', 'right'.; call one of them"):
        Image.create(f"{write_parquet(tmp_path / 'd.parquet', several)}::a.png")


def test_tar_files_that_were_joined_by_cat_are_an_error_and_the_images_of_the_second_are_not_lost(
    tmp_path: Path,
) -> None:
    first, second = (write_tar(tmp_path / f"{i}.tar", [(f"{i}.png", png(i))]) for i in (1, 2))
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(InputError, match="1.tar' ends after .* bytes, but more follows: several tar files"):
        tar_members(Signature.of(first))
