"""The thumbnail of an image of an evaluation; a reason in its place if the file is no longer the evaluated one."""

from eyebright.evaluation.evaluation import Evaluation
from eyebright.web.blocks import Thumbnail
from eyebright.web.thumbnails import SIDE, thumbnail


def evaluated_thumbnail(evaluation: Evaluation, row: int, *, side: int = SIDE) -> Thumbnail:
    """The thumbnail of the image in this row; the reason if it cannot be read, or is not the evaluated image.

    Args:
        evaluation: the evaluation, with the size and the hash of each file as they were.
        row: the row of the image.
        side: the longer side of the thumbnail, in pixels.
    """
    height, width = evaluation.sizes[row].tolist()
    made = thumbnail(str(evaluation.paths[row]), (height, width), side=side)
    if made.error or not evaluation.is_changed(row):
        return made
    return Thumbnail("", 0, 0, error="it was replaced by another image or edited since it was evaluated")
