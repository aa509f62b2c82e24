"""The tables and the picture of the race, from its file of results.

For each program and number of epochs there is one point: the mean seconds and the mean score of its runs. Only points
with the runs that all others of the set have are compared. At a mark of the clock a program has the best point that was
finished by then; this favours programs with more points a little, so Eyebright's default and its frozen model also have
rows of their own.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import measure
from race_data import LOWER_IS_BETTER
from race_entrants import BY_NAME
from scipy.stats import t as student

MEASURED = ("score", "seconds", "processor_seconds", "load")
MARKS = (60, 120, 300, 600)  # seconds
FROZEN, DEFAULT = "Eyebright, frozen", "Eyebright, default"
BOOK = BY_NAME["book"].title
OURS = (BY_NAME["eyebright"].title, BOOK)  # no peers
EYEBRIGHT = "Eyebright, best of all"


@dataclass(frozen=True)
class Point:
    """All runs of one program with one number of epochs; None: its default.

    Args:
        program: its title.
        epochs: the number of epochs.
        runs: split and seed of each run.
        scores: the scores of the held-out images, one of each run.
        seconds: the time to the finished model.
        processor_seconds: the time of all processors.
        loads: the load of the machine, the average number of waiting programs.
    """

    program: str
    epochs: int | None
    runs: tuple[tuple[int | None, int], ...]
    scores: tuple[float, ...]
    seconds: tuple[float, ...]
    processor_seconds: tuple[float, ...]
    loads: tuple[float, ...]

    @property
    def score(self) -> float:
        """The mean score."""
        return mean(self.scores)

    @property
    def time(self) -> float:
        """The mean seconds."""
        return mean(self.seconds)


@dataclass(frozen=True)
class Race:
    """The points of one set.

    Args:
        title: the title of the set, with what was fixed for all.
        metric: the name of the score.
        points: by program, the quickest first.
        failed: sentences about runs that failed.
    """

    title: str
    metric: str
    points: Mapping[str, Sequence[Point]]
    failed: Sequence[str]

    def better(self, a: Point, b: Point) -> bool:
        """Whether the first is at least as good."""
        return a.score <= b.score if self.metric in LOWER_IS_BETTER else a.score >= b.score

    def best(self, points: Iterable[Point]) -> Point | None:
        """The point with the best score; None if there is none."""
        found: Point | None = None
        for point in points:
            if found is None or not self.better(found, point):
                found = point
        return found


def render(results: Path, svg: Path | None) -> None:
    """Prints the tables of a file of results, and writes the picture if there is a path for it."""
    if not results.exists():
        raise SystemExit(f"there is no file of results '{results}'; make one with --json")
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    races = read_races([line for line in lines if "key" in line])
    if not races:
        raise SystemExit(f"'{results}' has no finished run")
    for race in races:
        print(f"**{race.title}**\n\n{marks_table(race)}\n\n{points_table(race)}\n")
        print("\n".join([to_best_peer(race), *race.failed]), end="\n\n")
    print(pooled_differences(races), conditions(lines), sep="\n\n")
    if svg is not None:
        draw(races, svg)


def read_races(rows: Sequence[Mapping[str, Any]]) -> list[Race]:
    """One race for each set and what was fixed for all programs."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        fixed = {k: v for k, v in row["key"].items() if k not in ("entrant", "epochs", "seed", "split")}
        groups.setdefault(json.dumps(fixed), []).append(row)
    return [race for group in groups.values() if (race := read_race(group)) is not None]


def read_race(rows: Sequence[Mapping[str, Any]]) -> Race | None:
    """The race of one set; None if no run was finished."""
    runs: dict[tuple[str, int | None], dict[tuple[Any, Any], Mapping[str, Any]]] = {}
    failed: dict[str, str] = {}
    for row in rows:
        key = row["key"]
        name = f"{title(key['entrant'])}, epochs {key['epochs']}, split {key['split']}, seed {key['seed']}"
        if "failed" in row:
            failed[name] = f"{name}: {row['failed']}"
            continue
        failed.pop(name, None)
        runs.setdefault((title(key["entrant"]), key["epochs"]), {})[key["split"], key["seed"]] = row
    if not runs:
        return None
    complete = max(map(len, runs.values()))
    points: dict[str, list[Point]] = {}
    for (program, epochs), found in runs.items():
        if len(found) < complete:
            failed[f"{program}, {epochs}"] = f"{program}, epochs {epochs}: {len(found)} of {complete} runs, left out"
            continue
        columns = [tuple(row[name] for row in found.values()) for name in MEASURED]
        points.setdefault(program, []).append(Point(program, epochs, tuple(found), *columns))
    key, row = rows[0]["key"], next(iter(next(iter(runs.values())).values()))
    size = " x ".join(map(str, key["size"] if key["size"][0] != key["size"][1] else key["size"][:1]))
    train, valid, held_out = row["images"]
    splits = plural(len({split for split, _ in max(runs.values(), key=len)}), "split")
    kind = f"{train} training, {valid} validation and {held_out} held-out images, {key['arch']}, {size} px"
    runs_text = f"{plural(complete, 'run')} ({splits})"
    by_time = {program: sorted(found, key=lambda point: point.time) for program, found in points.items()}
    return Race(f"{key['set']}: {kind}, {runs_text}", row["metric"], by_time, list(failed.values()))


def title(entrant: str) -> str:
    """The name of a program in the tables."""
    return BY_NAME[entrant].title if entrant in BY_NAME else entrant


def marks_table(race: Race) -> str:
    """The best score that each program has reached at the marks of the clock."""
    rows = []
    for program, points in with_eyebright_alone(race).items():
        bests = [race.best(point for point in points if point.time <= mark) for mark in MARKS]
        rows.append([program, *("" if best is None else f"{best.score:.3f}" for best in bests)])
    return measure.table([f"{race.metric} of finished models", *(f"{mark // 60} min" for mark in MARKS)], rows)


def with_eyebright_alone(race: Race) -> dict[str, Sequence[Point]]:
    """The points by row of the table: Eyebright's frozen model and its default also alone."""
    rows: dict[str, Sequence[Point]] = {}
    for program, points in race.points.items():
        if program != BY_NAME["eyebright"].title:
            rows[program] = points
            continue
        rows[FROZEN] = [point for point in points if point.epochs == 0]
        rows[DEFAULT] = [point for point in points if point.epochs is None]
        rows[EYEBRIGHT] = points
    return {program: points for program, points in rows.items() if points}


def points_table(race: Race) -> str:
    """Every point: seconds and score with their range over the runs."""
    measured = [f"{race.metric}, mean [min-max]", "seconds, mean [min-max]", "processor seconds", "load"]
    rows = [
        [
            point.program,
            {None: "default", 0: "0: frozen"}.get(point.epochs, str(point.epochs)),
            f"{point.score:.3f} [{min(point.scores):.3f}-{max(point.scores):.3f}]",
            f"{point.time:.0f} [{min(point.seconds):.0f}-{max(point.seconds):.0f}]",
            f"{mean(point.processor_seconds):.0f}",
            f"{mean(point.loads):.1f}",
        ]
        for points in race.points.values()
        for point in points
    ]
    return measure.table(["program", "epochs", *measured], rows)


def to_best_peer(race: Race) -> str:
    """A sentence about the time in which Eyebright reaches the best score of the best other program."""
    ours = eyebright_points(race)
    theirs = [point for name, points in race.points.items() if name not in OURS for point in points]
    best = race.best(theirs)
    if best is None or not ours:
        return ""
    epochs = plural(best.epochs or 0, "epoch")
    goal = f"best of the others: {best.program} with {epochs}, {best.score:.3f} after {best.time:.0f} s"
    reached = next((point for point in ours if race.better(point, best)), None)
    if reached is None:
        return f"{goal}; Eyebright does not reach it"
    how = {None: "default", 0: "frozen"}.get(reached.epochs, plural(reached.epochs or 0, "epoch"))
    processor = mean(reached.processor_seconds) / mean(best.processor_seconds)
    return (
        f"{goal}; Eyebright ({how}) has {reached.score:.3f} after {reached.time:.0f} s, "
        f"{reached.time / best.time:.2f} of that time and {processor:.2f} of its processor seconds"
    )


def plural(count: int, word: str) -> str:
    """The count with the word, as in "1 epoch" and "2 epochs"."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def differences(race: Race, reference: Point | None) -> list[float]:
    """How much better Eyebright's default is than another model: for each split the mean of its seeds."""
    default = next((point for point in eyebright_points(race) if point.epochs is None), None)
    if default is None or reference is None:
        return []
    sign = -1 if race.metric in LOWER_IS_BETTER else 1
    others = dict(zip(reference.runs, reference.scores, strict=True))
    by_split: dict[int | None, list[float]] = {}
    for run, score in zip(default.runs, default.scores, strict=True):
        if run in others:
            by_split.setdefault(run[0], []).append(sign * (score - others[run]))
    return [mean(values) for values in by_split.values()]


def eyebright_points(race: Race) -> Sequence[Point]:
    """The points of Eyebright as it is by default."""
    return race.points.get(BY_NAME["eyebright"].title, ())


def frozen(race: Race) -> Point | None:
    """The frozen model; None if it did not run."""
    return next((point for point in eyebright_points(race) if point.epochs == 0), None)


def with_book_head(race: Race) -> Point | None:
    """The longest training with the book's head; None if it did not run."""
    return max(race.points.get(BOOK, ()), key=lambda point: point.epochs or 0, default=None)


def pooled_differences(races: Sequence[Race]) -> str:
    """What Eyebright's default adds to its frozen model and to the book's head, a sentence for each."""
    return "\n\n".join(
        sentence
        for name, find in (("its frozen model", frozen), ("the book's head", with_book_head))
        if (sentence := pooled_difference(name, [(race, differences(race, find(race))) for race in races]))
    )


def pooled_difference(name: str, found: Sequence[tuple[Race, list[float]]]) -> str:
    """A sentence about the default and another model: the difference of each set, and of all sets with an interval.

    Positive is better. Errors in pixels are not pooled with the scores. An interval is that of Student's t over the
    splits: runs with the same split share their held-out images.
    """
    found = [(race, values) for race, values in found if values]
    if not found:
        return ""
    each = ", ".join(f"{race.title.split(':')[0]} {with_interval(values)}{unit(race.metric)}" for race, values in found)
    pooled = [value for race, values in found if race.metric not in LOWER_IS_BETTER for value in values]
    together = f"; all {len(pooled)} splits of scores {with_interval(pooled)}" if pooled else ""
    return f"Eyebright's default minus {name}, positive is better: {each}{together}"


def unit(metric: str) -> str:
    """The unit of a difference of this metric, behind its number; empty for a score."""
    return " pixels" if metric in LOWER_IS_BETTER else ""


def with_interval(values: Sequence[float]) -> str:
    """The mean of these differences, with its interval from three values on."""
    if len(values) < 3:
        return f"{mean(values):+.3f}"
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):+.3f} (95 % CI {mean(values) - half:+.3f} to {mean(values) + half:+.3f})"


def conditions(lines: Sequence[Mapping[str, Any]]) -> str:
    """A sentence about the machine, the dates and the load of the runs."""
    machine = next((line["machine"] for line in lines if "machine" in line), {})
    runs = [line for line in lines if "key" in line]
    loads = [run["load"] for run in runs]
    days = sorted({run["when"][:10] for run in runs})
    processors = plural(machine.get("processors", 1), "processor")
    return (
        f"{machine.get('processor', 'unknown processor')}, {processors}, accelerator "
        f"{machine.get('accelerator') or 'none'}, {days[0]}{f' to {days[-1]}' if len(days) > 1 else ''}; load during "
        f"the runs {min(loads):.1f} to {max(loads):.1f}."
    )


STYLES = {  # colours of Okabe and Ito that can be told apart on white and on black, and a marker each
    "eyebright": ("#D55E00", "o"),
    "book": ("#F0A070", "v"),
    "fastai": ("#0093D5", "s"),
    "plain": ("#888888", "^"),
    "timm": ("#009E73", "D"),
    "lightly": ("#CC79A7", "<"),
    "autogluon": ("#B8A000", "P"),
    "getitune": ("#7E6BC9", "X"),
    "ultralytics": ("#A0522D", "*"),
}
COLUMNS = 3  # panels beside each other
TICKS = (5, 10, 30, 60, 120, 300, 600, 1800)  # seconds
GREY = "#808080"  # axes and words, legible on white and on black


def draw(races: Sequence[Race], svg: Path) -> None:
    """Writes the picture: score against seconds, a panel per set."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    words: dict[Any, Any] = {"font.size": 14, "svg.fonttype": "path", "svg.hashsalt": "race", "text.color": GREY}
    words |= dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), GREY)
    with plt.rc_context(words):
        columns, rows = min(len(races), COLUMNS), -(-len(races) // COLUMNS)
        figure, grid = plt.subplots(rows, columns, figsize=(5 * columns, 4.6 * rows), squeeze=False)
        axes = list(grid.flat)
        for axis, race in zip(axes, races, strict=False):
            draw_race(axis, race)
        for axis in axes[len(races) :]:
            axis.set_visible(False)
        handles = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=4, frameon=False)
        figure.tight_layout(rect=(0, (0.05 + 0.05 * -(-len(handles) // 4)) / rows, 1, 1))
        svg.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(svg, transparent=True, metadata={"Date": None})
        plt.close(figure)


def draw_race(axis: Any, race: Race) -> None:
    """Draws a line per program through the means, with the range of the scores over the runs."""
    for name, entrant in BY_NAME.items():
        points = race.points.get(entrant.title, ())
        if not points:
            continue
        colour, marker = STYLES[name]
        means = [point.score for point in points]
        ranges = [[point.score - min(point.scores) for point in points], [max(p.scores) - p.score for p in points]]
        axis.errorbar(
            [point.time for point in points],
            means,
            yerr=ranges,
            color=colour,
            marker=marker,
            markersize=8,
            linewidth=2,
            elinewidth=1,
            capsize=3,
            label=entrant.title,
        )
        for point in points:
            if word := {0: "frozen", None: "default"}.get(point.epochs):
                above = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "size": "small"}
                axis.annotate(word, (point.time, max(point.scores)), **above, color=colour)
    axis.set_xscale("log")
    seconds = [point.time for points in race.points.values() for point in points]
    ticks = [tick for tick in TICKS if min(seconds) / 1.5 < tick < max(seconds) * 1.5]
    axis.set_xticks(ticks, [f"{tick} s" if tick < 60 else f"{tick // 60} min" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("from the start of the command to the model")
    axis.set_ylabel(race.metric)
    axis.set_title(race.title.split(":")[0])
    axis.margins(0.1, 0.2)
    axis.grid(color=GREY, alpha=0.25)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    if race.metric in LOWER_IS_BETTER:
        axis.invert_yaxis()
