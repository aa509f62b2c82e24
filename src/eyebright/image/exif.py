"""Reads EXIF data of an image: its rotation, its camera, and whether the data are damaged."""

import os
import re
import struct
from typing import IO, NamedTuple

import PIL.Image
from PIL import ExifTags
from PIL.ImageFile import ImageFile

DAMAGED_EXIF = "its EXIF data are damaged, so it is taken as upright"
"""The note about an image whose orientation cannot be read."""

_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


class Exif(NamedTuple):
    """The rotation and flip of the stored pixels, and the camera.

    Args:
        orientation: 1 (upright) to 8, as EXIF numbers them; 1 if there is none, or an invalid one; 1 for a TIFF too,
            since Pillow rotates and flips its pixels itself.
        damaged: True if the EXIF data are damaged, so that they may have contained another orientation.
        camera: maker and model; empty where they are not known.
    """

    orientation: int
    damaged: bool
    camera: str = ""


def read_exif(image: ImageFile, file: IO[bytes]) -> Exif:
    """The EXIF data of an image whose header has been read.

    Args:
        image: the image; its pixels are not decoded.
        file: the file that it is read from; its position changes.
    """
    data: bytes | None = image.info.get("exif")
    try:
        # PngImageFile.getexif would decode the whole image to look for an EXIF chunk after the pixels.
        exif = PIL.Image.Image.getexif(image)
        if image.format == "PNG" and data is None and (data := _exif_chunk(file)):
            exif.load(data)
        value, camera = exif.get(ExifTags.Base.Orientation), _camera(exif)
    except Exception:  # damaged EXIF can raise almost any exception; the pixels may still be readable
        return Exif(1, damaged=image.format != "TIFF")
    if image.format == "TIFF":  # Pillow applies the orientation of a TIFF to its pixels and its size
        return Exif(1, damaged=False, camera=camera)
    if value is None:
        return Exif(1, damaged=data is not None and _is_damaged(data), camera=camera)
    return Exif(value if value in range(1, 9) else 1, damaged=False, camera=camera)


def _camera(exif: PIL.Image.Exif) -> str:
    """Maker and model; only the model if it begins with the maker."""
    names = (exif.get(tag) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    maker, model = (re.sub(r"[\s\0]+", " ", name).strip() if isinstance(name, str) else "" for name in names)
    return model if model.startswith(maker) else f"{maker} {model}".strip()


def _is_damaged(exif: bytes) -> bool:
    """True if EXIF data in which Pillow found no orientation may have had one.

    That is so if its header or its first directory is incomplete, or if the directory lists an orientation.
    """
    data = re.sub(rb"^(Exif\0\0){1,2}", b"", exif)
    if not data:
        return False
    order = _BYTE_ORDERS.get(data[:4])
    if order is None:
        return True
    try:
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        tags = [struct.unpack_from(f"{order}H10x", data, start + 2 + 12 * i)[0] for i in range(entries)]
    except struct.error:
        return True
    return ExifTags.Base.Orientation in tags


def _exif_chunk(file: IO[bytes]) -> bytes | None:
    """The EXIF chunk of a PNG, which may come before or after the pixels (PNG 3rd edition, 11.3.3.1)."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"eXIf":
            return file.read(length)
        file.seek(length + 4, os.SEEK_CUR)
    return None
