"""What images are for - training, validation, guarantees, test - as folders and columns of tables call it."""

from typing import Literal

from eyebright.sources.coded import Coded

Part = Literal["train", "valid", "promise", "test"]
"""Training; validation, which chooses epochs and thresholds; guarantees alone; the test that chooses nothing."""

PART_NAMES: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "promise": "promise",
    "test": "test",
    "testing": "test",
}
"""The part that a folder, or a cell of a column ``split``, names in lower case."""

PART_WORDS: dict[Part, str] = {"train": "training", "valid": "validation", "promise": "a promise", "test": "testing"}
"""What an image is for, in a message; in the order in which parts are listed."""

KEPT_ASIDE: tuple[Part, ...] = ("promise", "test")
"""Parts that neither train nor validate."""


def part_messages(part: Coded[Part], where: str) -> list[str]:
    """How many images each part has, sentences for the user.

    Args:
        part: of each image.
        where: what gives the split: folders, or a column.
    """
    counts = {name: int(part.is_any_of([name]).sum()) for name in PART_WORDS}
    messages = [f"{where} the split: " + ", ".join(f"{name} {count}" for name, count in counts.items() if count)]
    if kept_aside := sum(counts[name] for name in KEPT_ASIDE):
        messages.append(f"images that are kept aside, and neither train nor validate: {kept_aside}")
    return messages
