"""`check_page`: the findings on labelled images, as a page with thumbnails."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from eyebright.check.finding import SEVERITIES, Finding
from eyebright.errors import count_text
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Source
from eyebright.web.blocks import Card, Cell, FindingCard, Findings, Section, Sentences, Table, Tag
from eyebright.web.page import SectionsPage
from eyebright.web.thumbnails import thumbnail

_GROUPS, _PER_GROUP = 12, 6  # of images that are the same, with thumbnails
_IMAGES = 12  # with thumbnails, of other findings
_MAX_THUMBNAILS = 240  # of a page, about 20 kB each
_MAX_LISTED = 2000  # file names

Worded = Callable[[str], str]


def check_page(
    source: Source,
    findings: Sequence[Finding],
    summary: str,
    *,
    overview: Sequence[Section] = (),
    worded: Worded = lambda text: text,
) -> SectionsPage:
    """The page about labelled images.

    Args:
        source: the labelled images.
        findings: the worst first.
        summary: one sentence on the data.
        overview: additional sections.
        worded: words a message for the reader, such as with the options of the command line.
    """
    images = _Images(source)
    cards = [_card(finding, images, worded) for finding in findings]
    counts = [(severity, sum(finding.severity == severity for finding in findings)) for severity in SEVERITIES]
    labels = sorted({label for finding in findings for label in finding.labels})
    findings_block = Findings(cards, [(severity, count) for severity, count in counts if count], labels)
    intro = (
        "The worst first. An error makes scores wrong or training fail; a warning makes the model worse; a note is"
        " often as it should be."
    )
    if not findings:
        blocks: list[Any] = [Sentences(["nothing found"])]
    else:
        blocks = [findings_block]
    return SectionsPage(
        f"Check of {source.name or source.root.name or 'the images'}",
        summary,
        [
            Section("Findings", "findings", blocks, intro if findings else ""),
            *overview,
            Section("How the data were read", "reading", [Sentences([worded(message) for message in source.messages])]),
        ],
        footer="Check",
        notices=images.notices(),
    )


class _Images:
    """The thumbnails of the images of a source, up to a number of them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rows = {str(file): row for row, file in enumerate(source.files)}
        self._left = _MAX_THUMBNAILS
        self._block = source.block()

    def cards(self, files: Iterable[str]) -> list[Card]:
        """A card for each image, while there are thumbnails left."""
        cards: list[Card] = []
        for file in files:
            row = self._rows.get(file)
            if row is None or self._left <= 0:
                continue
            self._left -= 1
            image = self._source[row]
            tags = [Tag(tag) for tag in self._tags(image.target)]
            part = "" if image.part is None else f"for {PART_WORDS[image.part]}"
            cards.append(Card(file, str(image.path), thumbnail(str(image.path)), file, tags, note=part))
        return cards

    def notices(self) -> list[str]:
        """A sentence if not all images are shown."""
        return [] if self._left > 0 else [f"the page shows {_MAX_THUMBNAILS} images, and lists the names of the others"]

    def _tags(self, target: Any) -> list[str]:
        text = self._block.text(self._block.read(target))
        return [text] if text else []


def _card(finding: Finding, images: _Images, worded: Worded) -> FindingCard:
    groups = [images.cards(group[:_PER_GROUP]) for group in finding.groups[:_GROUPS]]
    if not groups and finding.files:
        groups = [images.cards(finding.files[:_IMAGES])]
    files = [" = ".join(group) for group in finding.groups] or list(finding.files)
    is_counted = finding.figure_name == "images" and not finding.groups
    title = count_text(int(finding.figure) if is_counted else len(files), "group" if finding.groups else "image")
    if len(files) > _MAX_LISTED:
        title += f", of which {_MAX_LISTED:,} are listed"
    return FindingCard(
        finding.severity,
        finding.kind.replace("_", " "),
        worded(finding.sentence),
        worded(finding.remedy),
        [group for group in groups if group],
        _table(finding),
        files[:_MAX_LISTED],
        title,
        finding.labels,
    )


def _table(finding: Finding) -> Table | None:
    """The pairs of near-duplicates with their similarity."""
    pairs: Sequence[Any] = finding.details.get("pairs", ())
    if not pairs or "similarity" not in pairs[0]:
        return None
    rows = [
        [
            Cell(pair["files"][0]),
            Cell(pair["files"][1]),
            Cell(f"{100 * pair['similarity']:.2f} %", 100 * pair["similarity"]),
            Cell(pair["orientation"]),
        ]
        for pair in pairs[:_MAX_LISTED]
    ]
    return Table("Pixels of each pair, laid over each other", ("image A", "image B", "alike", "orientation of A"), rows)
