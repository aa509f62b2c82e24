"""The used part of the range of 16-bit values of an image: cameras of 10, 12 or 14 bits write files that declare 16."""

from typing import NamedTuple

RANGE_REMEDY = (
    "multiply the values, or write the tag MaxSampleValue (such as 4095 for 12 bits) into grey TIFF files, if they "
    "should be brighter"
)
_DARK_FRACTION = 0.25  # an image whose values are all in this fraction of the range is dark


class ValueRange(NamedTuple):
    """The used part of the range of 16-bit values of an image.

    Args:
        largest: the largest value of all pixels and channels; for 16-bit colour, where the decoder keeps only
            the high byte, an upper bound of it.
        white: the value that is white.
    """

    largest: int
    white: int

    @property
    def is_hardly_used(self) -> bool:
        """Whether all values are in the darkest quarter, as those of 10, 12 or 14 bits in a file that declares 16."""
        return self.largest <= _DARK_FRACTION * self.white


def range_notes(values: ValueRange | None) -> tuple[str, ...]:
    """A sentence for the user if an image hardly uses its range of 16-bit values; empty otherwise."""
    if values is None or not values.is_hardly_used:
        return ()
    return (
        f"its largest 16-bit value is {values.largest:,} of {values.white:,}, and the file does not state that it has "
        f"fewer bits, so it is dark and not scaled; {RANGE_REMEDY}",
    )
