"""How much of the range of 16-bit values an image uses: cameras of 10, 12 or 14 bits write files that say 16."""

from typing import NamedTuple

RANGE_REMEDY = (
    "multiply the values, or write the tag MaxSampleValue (such as 4095 for 12 bits) into grey TIFF files, if they "
    "should be brighter"
)
_HARDLY_USED = 4  # values below this part of the range are dark


class ValueRange(NamedTuple):
    """How much of the range of 16-bit values an image uses.

    Args:
        largest: the largest value of all pixels and channels; of 16-bit colour, where the decoder keeps the high byte
            alone, the largest that it may be.
        white: the value that is white.
    """

    largest: int
    white: int

    @property
    def is_hardly_used(self) -> bool:
        """Whether all values are in the darkest quarter, as those of 10, 12 or 14 bits in a file that says 16."""
        return self.largest * _HARDLY_USED <= self.white


def range_notes(values: ValueRange | None) -> tuple[str, ...]:
    """What a user should know of an image that hardly uses its range of 16-bit values; nothing of other images."""
    if values is None or not values.is_hardly_used:
        return ()
    return (
        f"its largest 16-bit value is {values.largest:,} of {values.white:,}, and nothing says that it has fewer bits,"
        f" so it is not scaled and dark; {RANGE_REMEDY}",
    )
