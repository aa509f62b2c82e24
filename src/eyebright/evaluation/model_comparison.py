"""`compare_models`: two models on the images that both evaluated: metrics, each label, and the images that changed.

All differences are paired: both models are judged on the same images. P-values of labels are corrected for their number
(Holm, 1979, Scandinavian Journal of Statistics 6:65).
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eyebright.errors import InputError, listing
from eyebright.evaluation.compare import Comparison
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.image_mistakes import mistakes
from eyebright.evaluation.output_differences import OutputDifference, compared_metrics, compared_scores
from eyebright.evaluation.relabelled import Judged, judge, relabelled


@dataclass(frozen=True, slots=True)
class ImageChange:
    """An image on which one model makes more or larger mistakes than the other.

    Args:
        row: its row in both matched evaluations.
        file: its name in the first evaluation.
        truth: the target as text; empty parts are unknown.
        answers: the answers of both models, as text.
        mistakes: the mistakes of both models: the number of wrong labels, without those about which a person is asked;
            0 or 1 for a class; the mean error of points or numbers.
        abstained: the number of labels on which each model abstains.
    """

    row: int
    file: str
    truth: str
    answers: tuple[str, str]
    mistakes: tuple[float, float]
    abstained: tuple[int, int] = (0, 0)

    @property
    def rights(self) -> tuple[bool, bool]:
        """Whether each model answers every label without a mistake."""
        first, second = (
            not wrong and not abstained for wrong, abstained in zip(self.mistakes, self.abstained, strict=True)
        )
        return first, second


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """Two models on the images that both evaluated.

    Args:
        first: the evaluation of the first model on the shared images.
        second: that of the second model, in the same order.
        only_first: images that the second model did not evaluate.
        only_second: images that the first model did not evaluate.
        metrics: the metrics for this kind of target.
        outputs: the scores of each label, class, point or number.
        worse: images on which the second model is worse; first those that the first model has right.
        better: images on which it is better; first those that the second model has right.
        relabelled: the number of images whose targets differ; all of the above uses those of the second evaluation.
        judged: if some differ, the metrics by the targets of each, and on images with the same targets in both.
        lineage: a sentence if one model was trained from the other; empty otherwise.
        replaced: images whose files had other content in the second evaluation.
    """

    first: Evaluation
    second: Evaluation
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    metrics: tuple[Comparison, ...]
    outputs: tuple[OutputDifference, ...]
    worse: tuple[ImageChange, ...]
    better: tuple[ImageChange, ...]
    relabelled: int = 0
    judged: tuple[Judged, ...] = ()
    lineage: str = ""
    replaced: tuple[str, ...] = ()

    @property
    def abstention_rates(self) -> tuple[float, float] | None:
        """The share of the images on which each model abstains (asks a person); None if neither does."""
        evaluations = (self.first, self.second)
        if not any(evaluation.decision.thresholds.is_three_way for evaluation in evaluations):
            return None
        first, second = (
            float(evaluation.decision.abstains(evaluation.activated).any(dim=1).double().mean())
            for evaluation in evaluations
        )
        return first, second

    @property
    def broken(self) -> int:
        """The number of images that the first model has right and the second wrong."""
        return sum(change.rights[0] for change in self.worse)

    @property
    def fixed(self) -> int:
        """The number of images that the first model has wrong and the second right."""
        return sum(change.rights[1] for change in self.better)

    @property
    def handed_over(self) -> tuple[int, int]:
        """Numbers of mistakes of one model on which the other only asks a person: the second model, and the first."""
        return (
            sum(not change.mistakes[1] and change.abstained[1] > 0 for change in self.better),
            sum(not change.mistakes[0] and change.abstained[0] > 0 for change in self.worse),
        )


def compare_models(first: Evaluation, second: Evaluation, *, nominated: Collection[str] = ()) -> ModelComparison:
    """Compares two models on the images that both evaluated, by the targets of the second evaluation.

    Args:
        first: the evaluation of the first model.
        second: that of the second model. If its targets differ, such as corrected labels, the metrics are also
            compared by the targets of the first, and on images whose targets are the same.
        nominated: files of images whose labels were reviewed because a model suggested them, see `judge`.

    Raises:
        InputError: the models predict different things, or evaluated no image in common; or images with the same names
            belong to two datasets.
        DataError: an output is NaN or infinite.
    """
    _check_same_kind(first, second)
    rows = _matched(first, second)
    only_first, only_second = (
        tuple(file for row, file in enumerate(evaluated.files) if row not in shared)
        for evaluated, shared in ((first, {a for a, _ in rows}), (second, {b for _, b in rows}))
    )
    if not rows:
        raise InputError(
            f"the models evaluated no image in common: {len(first):,} images such as '{first.files[0]}', and "
            f"{len(second):,} such as '{second.files[0]}'"
        )
    first, second = first.take([a for a, _ in rows]), second.take([b for _, b in rows])
    _check_same_images(first, second)
    second = replace(second, files=first.files)
    for evaluation in (first, second):
        evaluation.check_finite()
    n_changed, judged = int(relabelled(first, second).sum()), ()
    if n_changed:
        judged = judge(first, second, compared_metrics(first), nominated=nominated)
        first = replace(first, targets=second.targets)
    worse, better = _changes(first, second)
    metrics, outputs = compared_scores(first, second)
    return ModelComparison(
        *(first, second, only_first, only_second, metrics, outputs, worse, better, n_changed, judged),
        replaced=_replaced(first, second),
    )


# ------------------------------------------------------------------------------- the same images


def _check_same_kind(first: Evaluation, second: Evaluation) -> None:
    blocks = first.decision.target, second.decision.target
    if type(blocks[0]) is not type(blocks[1]):
        described = " and ".join(block.describe() for block in blocks)
        raise InputError(
            f"only models that predict the same can be compared; these predict different things: {described}"
        )
    names = [block.value_names for block in blocks]
    if names[0] != names[1]:
        missing = [name for name in names[0] if name not in names[1]]
        further = [name for name in names[1] if name not in names[0]]
        differ = [f"only the first has {listing(missing)}"] * bool(missing)
        differ += [f"only the second has {listing(further)}"] * bool(further)
        raise InputError(
            f"only models that predict the same can be compared; of these {' and '.join(differ) or 'the order differs'}"
        )


def _matched(first: Evaluation, second: Evaluation) -> list[tuple[int, int]]:
    """The rows of the same file in both, matched by names relative to the image folder, or else by whole paths."""
    for keys in ([first.files, second.files], [_whole_paths(first), _whole_paths(second)]):
        rows = {key: row for row, key in enumerate(_numbered(keys[1]))}
        pairs = [(row, rows[key]) for row, key in enumerate(_numbered(keys[0])) if key in rows]
        if pairs:
            return pairs
    return []


def _check_same_images(first: Evaluation, second: Evaluation) -> None:
    """Raises `InputError` if matched rows belong to two datasets, with names such as ``0001.jpg`` in both."""
    same_sizes = (first.sizes == second.sizes).all(dim=1)
    what = "other sizes"
    differ = ~same_sizes
    if not differ.any() and _whole_paths(first) != _whole_paths(second):
        differ, what = relabelled(first, second), "other targets, and are in another folder"
        if int(differ.sum()) * 2 <= len(first):
            return
    if differ.any():
        row = int(differ.int().argmax())
        raise InputError(
            f"{int(differ.sum()):,} of the {len(first):,} images with the same names in both have {what} "
            f"('{first.paths[row]}' and '{second.paths[row]}'), so they are of two datasets: evaluate both models on "
            "the same images, and compare these"
        )


def _replaced(first: Evaluation, second: Evaluation) -> tuple[str, ...]:
    """The files whose content differed between the evaluations; empty for evaluations of older versions."""
    pairs = zip(first.files, first.hashes or [""] * len(first), second.hashes or [""] * len(second), strict=True)
    return tuple(
        file for file, first_hash, second_hash in pairs if first_hash and second_hash and first_hash != second_hash
    )


def _numbered(names: Sequence[str]) -> list[tuple[str, int]]:
    """Each name with the number of its earlier occurrences."""
    seen = Counter[str]()
    numbered: list[tuple[str, int]] = []
    for name in names:
        numbered.append((name, seen[name]))
        seen[name] += 1
    return numbered


def _whole_paths(evaluation: Evaluation) -> list[str]:
    return [str(Path(path)) for path in evaluation.paths]


# ------------------------------------------------------------------------------- images


def _changes(first: Evaluation, second: Evaluation) -> tuple[tuple[ImageChange, ...], tuple[ImageChange, ...]]:
    """(worse, better) images: first those that changed between right and wrong, then the largest changes."""
    before, after = mistakes(first), mistakes(second)
    worse = (after > before).nonzero()[:, 0].tolist()
    better = (after < before).nonzero()[:, 0].tolist()
    worse.sort(key=lambda i: (float(before[i]) > 0, float(before[i] - after[i])))
    better.sort(key=lambda i: (float(after[i]) > 0, float(after[i] - before[i])))
    block = first.decision.target

    def change(i: int) -> ImageChange:
        answers = (_answer(first, i), _answer(second, i))
        truth = block.text(block.decode(first.targets[i]))
        of_both = (float(before[i]), float(after[i]))
        return ImageChange(
            i, first.files[i], truth, answers, of_both, (_n_abstained(first, i), _n_abstained(second, i))
        )

    return tuple(map(change, worse)), tuple(map(change, better))


def _n_abstained(evaluation: Evaluation, row: int) -> int:
    return len(evaluation.decision.abstained_labels(evaluation.activated[row]) or ())


def _answer(evaluation: Evaluation, row: int) -> str:
    """The answer for an image as text, with the labels about which a person is asked."""
    decision, decoded = evaluation.decision, evaluation.decoded[row]
    text, abstained = decision.target.text(decoded), decision.abstained_labels(evaluation.activated[row])
    return f"{text}{'; ' if text else ''}ask: {', '.join(abstained)}" if abstained else text
