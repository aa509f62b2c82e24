"""Folders of images: a folder for each class, or a ``.pts`` file with points for each image."""

from pathlib import Path

from eyebright.errors import InputError
from eyebright.io.files import FolderContent, folder_content
from eyebright.sources.folder import folder_source
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.pts_files import POINT_OFFSET, images_with_pts, is_pts
from eyebright.sources.source import Source


def has_pts(folder: Path, content: FolderContent) -> bool:
    """True for a folder in which an image has a ``.pts`` file."""
    return any(map(is_pts, content.others)) and bool(images_with_pts(content.images))


def has_classes(folder: Path, content: FolderContent) -> bool:
    """True for a folder that can be read as class folders without an error."""
    if not content.images or has_pts(folder, content):
        return False
    try:
        folder_source(folder, content=content)
    except InputError:
        return False
    return True


def read(request: ReadRequest) -> Source:
    """The images of the folder; see `eyebright.sources.folder`."""
    return folder_source(request.path, request.kind)


def _read_pts(request: ReadRequest) -> Source:
    content = folder_content(request.path)
    if not images_with_pts(content.images):
        raise InputError(
            f"no image of '{request.path}' has a .pts file beside it, such as '1.pts' beside '1.jpg'; copy them there, "
            "or leave `format` out to read folders of classes"
        )
    return folder_source(request.path, request.kind, content=content)


CLASSES = Format(
    name="folders",
    title="class folders",
    looks_like="a folder with a folder for each class",
    read=read,
    recognises_folder=has_classes,
    is_general=True,
)
PTS = Format(
    name="pts",
    title="images with .pts files",
    looks_like="a folder with a .pts file beside each image",
    read=_read_pts,
    recognises_folder=has_pts,
    unknown_values="write 'nan nan' on their lines",
    point_offset=POINT_OFFSET,
)
