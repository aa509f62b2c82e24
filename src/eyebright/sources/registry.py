"""`FORMATS`: every format of labels that can be read.

A new one is a file in `eyebright.sources.formats` and a line here.

More specific formats stand before less specific ones; the order has no other meaning.
"""

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.sources.format import Format
from eyebright.sources.formats import (
    automl,
    azure_ml,
    celeba,
    chexpert,
    coco,
    create_ml,
    custom_vision,
    cvat,
    fiftyone,
    folders,
    json_table,
    label_studio,
    labelme,
    names,
    open_images,
    parquet,
    table,
    vertex,
    via,
    voc,
    webdataset,
    yolo,
)

FORMATS: tuple[Format, ...] = (
    coco.FORMAT,
    voc.FORMAT,
    yolo.FORMAT,
    label_studio.FORMAT,
    labelme.FORMAT,
    via.FORMAT,
    cvat.FORMAT,
    fiftyone.FORMAT,
    create_ml.FORMAT,
    custom_vision.FORMAT,
    azure_ml.FORMAT,
    automl.FORMAT,
    vertex.FORMAT,
    celeba.FORMAT,
    chexpert.FORMAT,
    open_images.FORMAT,
    webdataset.FORMAT,
    folders.PTS,
    parquet.FORMAT,
    table.FORMAT,
    json_table.FORMAT,
    names.FORMAT,
    folders.CLASSES,
)

TABLE, CLASS_FOLDERS, NAMES = table.FORMAT, folders.CLASSES, names.FORMAT
"""What is assumed of a file and of a folder that no format recognises, and where the user gives a pattern."""


def format_named(name: str) -> Format:
    """The format with this name.

    Raises:
        InputError: there is none; the message names the nearest one.
    """
    known = {format_.name: format_ for format_ in FORMATS}
    if name not in known:
        raise InputError(f"there is no `format='{name}'`.{did_you_mean(name, known)} Known: {listing(known, limit=40)}")
    return known[name]
