"""`pixel_similarity`: how alike the pixels of two images are, after one was laid over the other.

Hashes only nominate pairs: images of one scene may have nearly the same hash. Here the second image is laid over the
first (Evangelidis and Psarakis, 2008, "Parametric image alignment using enhanced correlation coefficient
maximization"), and what is left is compared by the structural similarity index (SSIM; Wang et al., 2004, "Image quality
assessment: from error visibility to structural similarity"). A copy is alike everywhere; two photographs of one scene
are not: something has moved.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from eyebright.image.perceptual_hash import BOXES, Box

SIDE = 96
"""Height and width of the images that are compared, in pixels."""

Rgb = UInt8[np.ndarray, "96 96 3"]
Plane = Float[np.ndarray, "h w"]
Matrix = Float[np.ndarray, "2 3"]

_WHOLE_MASK = np.ones((SIDE, SIDE), np.uint8)  # the mask of what is compared
_MARGIN = 3  # pixels
_SMOOTHING = 1.5  # pixels, standard deviation: resampling and compression change finer details
_WINDOW = 4.0  # pixels, standard deviation of the window in which images are compared
_MIN_OVERLAP = 0.7  # of the area
_CONTRAST = 50.0  # grey levels, standard deviation: of a usual photograph; that of fainter images is raised to it,
_MAX_GAIN = 5.0  # at most by this factor


class Similarity(NamedTuple):
    """How alike two images are.

    Args:
        mean: SSIM, the mean over the image, windows weighted by their contrast, in [-1, 1]; 1 for equal images.
        least: the smallest SSIM of a window with some contrast, in [-1, 1].
        colour: the largest difference of Cr or Cb in a window, in grey levels; 0 where one of the two is grey.
    """

    mean: float
    least: float
    colour: float


NOTHING = Similarity(-1.0, -1.0, 255.0)
"""That of images that could not be laid over each other."""


def pixel_similarity(first: Rgb, second: Rgb, box: Box) -> Similarity:
    """How alike the part ``box`` of the first image and the second image are.

    The part is a first guess, which is improved: each image may be cropped by some per cent against the other.

    Args:
        first: shrunk to 96 x 96 pixels, in the orientation of the second.
        second: shrunk to 96 x 96 pixels.
        box: left, top, right and bottom of the part, as shares of the width and height.
    """
    planes = _luma(first), _luma(second)
    guesses = _likely(*planes, _matrix(box))
    if not guesses or _colour_difference(first, second, guesses[0]) > _MAX_COLOUR_DISTANCE:
        return NOTHING
    best, place = NOTHING, guesses[0]
    for guess in guesses:
        for matrix in (guess, *_aligned(*planes, guess)):
            if (similarity := _compared(*planes, matrix)) > best:
                best, place = similarity, matrix
        if best.mean >= _SURE_SIMILARITY or best.mean < _MIN_SIMILARITY:
            break
    return best._replace(colour=_colour_difference(first, second, place))


def _likely(first: Plane, second: Plane, guess: Matrix) -> list[Matrix]:
    """Where the second image may lie on the first: the guesses after which the blurred images are most correlated.

    That is the given guess if it is good, else all parts that are hashed, of either image; none that is far from it.
    """
    below, above = (cv2.GaussianBlur(plane, (0, 0), 2)[::2, ::2] for plane in (first, second))
    below, above = np.ascontiguousarray(below), above - above.mean()
    scored = [(_correlation(below, above, guess), 0)]
    if scored[0][0] < _GOOD:
        scored = [(_correlation(below, above, each), -number) for number, each in enumerate(_ALIGNMENT_GUESSES)]
        scored = [
            scored_guess
            for scored_guess in sorted(scored, reverse=True)[:_MAX_GUESSES]
            if scored_guess[0] >= _MIN_CORRELATION
        ]
        return [_ALIGNMENT_GUESSES[-number] for _, number in scored]
    return [guess]


def _correlation(below: Plane, above: Plane, matrix: Matrix) -> float:
    """The correlation of two images of half the size, the mean of the second being 0."""
    moved = _warped(below, matrix * np.array([[1, 1, 0.5], [1, 1, 0.5]], np.float32), SIDE // 2)
    moved = moved - moved.mean()
    return float((moved * above).sum() / (np.linalg.norm(moved) * np.linalg.norm(above) + 1e-6))


def _matrix(box: Box) -> Matrix:
    """Maps pixels of an image of that part to pixels of the whole image."""
    left, top, right, bottom = box
    return np.array([[right - left, 0, left * SIDE], [0, bottom - top, top * SIDE]], np.float32)


def _inverse(matrix: Matrix) -> Matrix:
    return np.asarray(cv2.invertAffineTransform(matrix), dtype=np.float32)


_ALIGNMENT_GUESSES = [_matrix(box) for box in BOXES] + [_inverse(_matrix(box)) for box in BOXES[1:]]
_MAX_GUESSES = 3
_GOOD, _MIN_CORRELATION = 0.97, 0.85
"""Correlations of blurred images after a guess. Of 400 planted copies all but one had 0.95 and more after the best."""
_SURE_SIMILARITY = 0.985  # a mean that other guesses need not improve
_MIN_SIMILARITY = 0.9  # a mean after which other guesses help no more
_MAX_COLOUR_DISTANCE = 40.0  # grey levels, before the images are aligned


def _aligned(first: Plane, second: Plane, guess: Matrix) -> list[Matrix]:
    """Matrices that map pixels of the second image to those of the first, improved from a coarse and a fine view."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-5)
    matrices: list[Matrix] = []
    for filter_size in (5, 1):
        try:
            _, matrix = cv2.findTransformECC(
                second, first, guess.copy(), cv2.MOTION_AFFINE, criteria, _WHOLE_MASK, filter_size
            )
        except cv2.error:  # it does not converge: the images are too different
            continue
        matrices.append(np.asarray(matrix, dtype=np.float32))
    return matrices


def _luma(image: Rgb) -> Plane:
    return cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1)


def _compared(first: Plane, second: Plane, matrix: Matrix) -> Similarity:
    """Mean and least SSIM of the second image and what lies under it in the first."""
    inside = _inside(matrix)
    if inside.mean() < _MIN_OVERLAP:
        return NOTHING
    # Beside the part that both show, the images are taken as equal: one may have a border that the other lacks.
    below = np.where(inside, _warped(first, matrix), second)
    below = cv2.GaussianBlur(below, (0, 0), _SMOOTHING)
    second = cv2.GaussianBlur(second, (0, 0), _SMOOTHING)
    spread = float(max(below[inside].std(), second[inside].std(), 1e-3))
    index, contrast = _ssim(below, second, gain=min(max(_CONTRAST / spread, 1.0), _MAX_GAIN))
    index, contrast = index[inside], contrast[inside]
    weight = contrast + 1.0
    textured = index[contrast > _MIN_CONTRAST]
    return Similarity(float((index * weight).sum() / weight.sum()), float(min(textured, default=1.0)), 0.0)


_MIN_CONTRAST = 5.0  # grey levels, of a window: below it there is nothing to compare


def _ssim(a: Plane, b: Plane, *, gain: float) -> tuple[Plane, Plane]:
    """(SSIM, standard deviation of the more contrasted image) of each window, contrasts multiplied by ``gain``."""
    mean_a, mean_b = _window(a), _window(b)
    var_a = np.maximum(_window(a * a) - mean_a * mean_a, 0) * gain**2
    var_b = np.maximum(_window(b * b) - mean_b * mean_b, 0) * gain**2
    both = (_window(a * b) - mean_a * mean_b) * gain**2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # the paper's constants
    index = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    index /= (mean_a * mean_a + mean_b * mean_b + c1) * (var_a + var_b + c2)
    return index, np.sqrt(np.maximum(var_a, var_b))


def _window(plane: Float[np.ndarray, "96 96 ..."]) -> Float[np.ndarray, "96 96 ..."]:
    return cv2.GaussianBlur(plane, (0, 0), _WINDOW)


def _warped(plane: Any, matrix: Matrix, side: int = SIDE) -> Any:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(plane, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _inside(matrix: Matrix) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Where the second image lies on the first, without a margin, in which a border may be cut off by half."""
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    ones = cv2.warpAffine(np.ones((SIDE, SIDE), np.uint8), matrix, (SIDE, SIDE), flags=flags)
    ones[:_MARGIN] = ones[-_MARGIN:] = 0
    ones[:, :_MARGIN] = ones[:, -_MARGIN:] = 0
    return cv2.erode(ones, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8)) > 0


def _colour_difference(first: Rgb, second: Rgb, matrix: Matrix) -> float:
    planes = [cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float32) for image in (first, second)]
    if any(np.abs(plane - 128).mean() < _GREY for plane in planes):
        return 0.0
    difference = _window(_warped(planes[0], matrix)) - _window(planes[1])
    return float(np.abs(difference)[_inside(matrix)].max(initial=0.0))


_GREY = 1.0  # grey levels of Cr and Cb: below it an image has no colour
