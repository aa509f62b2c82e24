"""Smaller copies of image files, as in fastai's ``resize_images``; a damaged file does not stop the others."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL.Image

from eyebright._system.cpus import cpus_per_process
from eyebright.errors import ImageError, InputError, checked_keywords
from eyebright.image.image import Image
from eyebright.io.atomic import make_folder, write_atomically
from eyebright.io.files import get_image_files
from eyebright.io.text import warn

_JPEG_QUALITY = 95


@checked_keywords
def resize_images(
    path: str | Path,
    max_workers: int | None = None,
    max_size: int | None = None,
    recurse: bool = False,  # noqa: FBT001 - fastai's signature
    dest: str | Path = ".",
    *,
    resume: bool = False,
) -> dict[str, str]:
    """Writes smaller copies of images; returns the files that cannot be read, with the reason, and warns of them.

    A smaller copy is upright (EXIF) and RGB. An image that is small enough is copied unchanged. ``dest`` may be
    ``path`` itself: then large images are replaced by smaller ones, and those that cannot be read stay.

    Args:
        path: the folder of the images.
        max_workers: number of images at the same time; None: the number of CPUs.
        max_size: largest width and height of a copy, in pixels; None copies without a change of size.
        recurse: include the images in subfolders.
        dest: the folder of the copies, in which they have the same relative paths.
        resume: skip images whose copy exists.

    Raises:
        InputError: the folder does not exist or has no image, ``max_size`` is less than 1, or a copy cannot be written.
    """
    if max_size is not None and max_size < 1:
        raise InputError(f"`max_size` must be at least 1 pixel, got {max_size}")
    source, folder = Path(path), Path(dest)
    files = get_image_files(source, recurse=recurse)
    targets = [folder / file.relative_to(source) for file in files]
    with ThreadPoolExecutor(max_workers or cpus_per_process()) as pool:
        problems = pool.map(lambda file, to: _copy(file, to, max_size, resume=resume), files, targets)
        failed = {str(file): problem for file, problem in zip(files, problems, strict=True) if problem}
    if failed:
        file, reason = next(iter(failed.items()))
        warn(f"{len(failed)} of {len(files)} images have no copy, such as '{file}' ({reason})", stacklevel=3)
    return failed


def _copy(file: Path, target: Path, max_size: int | None, *, resume: bool) -> str | None:
    """None if the copy is there now; otherwise why the image cannot be read."""
    if resume and target.exists():
        return None
    try:
        image = Image.create(file)
        largest = max_size or max(image.size)
        pixels = PIL.Image.fromarray(image.pixels())  # also of a small image: a damaged one is not copied
    except ImageError as error:
        return error.reason
    try:
        make_folder(target.parent)
        if max(image.size) > largest:
            pixels.thumbnail((largest, largest), PIL.Image.Resampling.BILINEAR)
            form = PIL.Image.registered_extensions()[file.suffix.lower()]
            write_atomically(target, lambda temporary: pixels.save(temporary, form, quality=_JPEG_QUALITY))
        elif target.resolve() != file.resolve():
            write_atomically(target, lambda temporary: shutil.copyfile(file, temporary))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"cannot write '{target}', the copy of '{file}': {error}") from error
    return None
