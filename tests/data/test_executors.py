"""Whoever reads images, they are the same, and so are the errors."""

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from eyebright._system.cpus import cpu_count
from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.executors import Executor, SerialExecutor, ThreadExecutor
from eyebright.data.loader import Loader
from eyebright.data.process_executor import Forked, ProcessExecutor, can_fork
from eyebright.data.sample_loader import Chunk, SampleLoader
from eyebright.errors import DataError, ImageError
from eyebright.transforms.pipeline import Pipeline
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from support.images import coloured_squares
from support.learners import squares_block

Make = Callable[[SampleLoader], Executor]
IMAGE = 40 * 40 * 3

forks = pytest.mark.skipif(not can_fork(), reason="this system has no copies of processes")
MAKERS = {
    "caller": SerialExecutor,
    "threads": lambda reading: ThreadExecutor(reading, 3),
    "processes": lambda reading: ProcessExecutor([reading], 2, chunk=4, image=IMAGE, jobs=3).of(0),
    "processes without room": lambda reading: ProcessExecutor([reading], 2, chunk=4, image=IMAGE - 1, jobs=3).of(0),
}


@pytest.fixture(
    params=[pytest.param(make, id=name, marks=forks if "processes" in name else ()) for name, make in MAKERS.items()]
)
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


def reading_of(
    block: DataBlock, table: pd.DataFrame, *, training: bool = True, leave_out: bool = False
) -> SampleLoader:
    pipeline = Pipeline.create(block.item_tfms, block.batch_tfms, torch.device("cuda"))  # only its name counts here
    return SampleLoader(block.datasets(table).train, pipeline, training, seed=1, leave_out=leave_out)


def assert_same(one: Chunk, other: Chunk) -> None:
    assert [sample.item_index for sample in one.samples] == [sample.item_index for sample in other.samples]
    for a, b in zip(one.samples, other.samples, strict=True):
        assert np.array_equal(a.preprocessed.pixels, b.preprocessed.pixels)
        assert np.array_equal(a.preprocessed.warp.matrix, b.preprocessed.warp.matrix)
        assert a.preprocessed.warp.source == b.preprocessed.warp.source
        assert a.preprocessed.device_draw.lighting == b.preprocessed.device_draw.lighting
        assert np.array_equal(a.preprocessed.device_draw.warp.matrix, b.preprocessed.device_draw.warp.matrix)
        assert torch.equal(a.target, b.target)
        assert a.target.dtype == b.target.dtype
    assert one.skipped == other.skipped


@pytest.mark.parametrize("training", [True, False])
def test_images_are_the_same_whoever_reads_them(make: Make, training: bool, folder: Path, table: pd.DataFrame):
    reading = reading_of(squares_block(folder), table, training=training)
    chunks = [[0, 3, 5, 1], [2], [29, 8], [7, 6, 4, 9], [10, 11], [12, 13, 14, 15]]
    readers = make(reading)
    for epoch in (0, 5):
        jobs = [readers.submit(chunk, epoch) for chunk in chunks]  # more than have room, none closed before the last
        for chunk, job in zip(chunks, [(job, job.result())[1] for job in jobs], strict=True):
            assert_same(reading.chunk(chunk, epoch), job)
        for job in jobs:
            job.close()


def test_what_is_read_says_how_long_its_reader_worked(make: Make, folder: Path, table: pd.DataFrame):
    chunk = make(reading_of(squares_block(folder), table)).submit([0, 1, 2], 0).result()
    assert set(chunk.seconds) == {"decoding", "augmenting"}
    assert all(0 < seconds < 5 for seconds in chunk.seconds.values())


def test_without_workers_no_more_is_read_than_is_asked_for(folder: Path, table: pd.DataFrame) -> None:
    read: list[str] = []

    def counted(row: Any) -> Path:
        read.append(row["fname"])
        return folder / row["fname"]

    dls = squares_block(folder, get_x=counted).dataloaders(table, bs=4, num_workers=0)
    read.clear()
    next(dls.train.batches())
    assert len(read) == 4


@pytest.fixture
def damaged(tmp_path: Path) -> pd.DataFrame:
    table = coloured_squares(tmp_path, 16)
    (tmp_path / "002.png").write_bytes((tmp_path / "002.png").read_bytes()[:200])
    return table


def test_an_unreadable_image_is_the_same_error_and_others_are_read_after_it(make, tmp_path, damaged):
    reading = reading_of(squares_block(tmp_path), damaged)
    readers = make(reading)
    with pytest.raises(ImageError, match=r"cannot read image '.*002\.png': the file is truncated") as told:
        readers.submit([1, 2], 0).result()
    assert Path(told.value.path) == tmp_path / "002.png"
    assert_same(reading.chunk([0, 1], 0), readers.submit([0, 1], 0).result())


def test_an_unreadable_image_is_left_out_where_it_may_be(make, tmp_path, damaged):
    chunk = make(reading_of(squares_block(tmp_path), damaged, leave_out=True)).submit([1, 2, 3], 0).result()
    assert len(chunk.samples) == 2
    assert list(chunk.skipped) == [str(tmp_path / "002.png")]
    assert "truncated" in chunk.skipped[str(tmp_path / "002.png")]


class StubbornError(Exception):
    """Cannot be made from its arguments again, as many errors of other libraries cannot."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


@pytest.mark.parametrize(
    "error", [LookupError("the shelf is empty"), StubbornError("the shelf is empty", "the jar too")]
)
def test_an_error_of_a_getter_says_what_it_said(make: Make, error: Exception, folder: Path, table: pd.DataFrame):
    def getter(row: Any) -> Path:
        if row["fname"] == "002.png":
            raise error
        return folder / row["fname"]

    readers = make(reading_of(squares_block(folder, get_x=getter), table))
    with pytest.raises(Exception, match="the shelf is empty"):
        readers.submit([1, 2], 0).result()
    assert len(readers.submit([3, 4], 0).result().samples) == 2


def test_of_jobs_that_nobody_waits_for_the_room_comes_back(make: Make, folder: Path, table: pd.DataFrame):
    reading = reading_of(squares_block(folder), table)
    readers = make(reading)
    for _ in range(20):
        jobs = [readers.submit([0, 1, 2, 3], 0) for _ in range(3)]
        jobs[1].result()
        for job in jobs:
            job.close()
    held = readers.submit([4, 5, 6, 7], 1)
    kept = held.result()
    for _ in range(20):
        job = readers.submit([8, 9, 10, 11], 1)
        job.result()
        job.close()
    assert_same(reading.chunk([4, 5, 6, 7], 1), kept)  # nobody wrote over what was not closed


# ---------------------------------------------------------------------- processes alone


def processes(reading: SampleLoader) -> Forked:
    return MAKERS["processes"](reading)


def children() -> set[int]:
    return {child.pid for child in multiprocessing.active_children()}


@forks
@pytest.mark.parametrize("noticed", [False, True])
def test_a_process_that_is_gone_is_said_and_others_take_its_place(noticed: bool, folder: Path, table: pd.DataFrame):
    before = children()
    reading = reading_of(squares_block(folder), table)
    readers = processes(reading)
    readers.submit([0], 0).result()
    for child in children() - before:
        os.kill(child, signal.SIGKILL)
    if noticed:
        wait_until(lambda: not children() - before)
        time.sleep(0.2)
    with pytest.raises(DataError, match="a process that reads images has ended.*num_workers=0"):
        readers.submit([0], 0).result()
    assert_same(reading.chunk([1, 2], 0), readers.submit([1, 2], 0).result())


@forks
def test_processes_end_when_nobody_needs_them(folder: Path, table: pd.DataFrame):
    gc.collect()
    before = children()
    gc.disable()  # nothing goes in a circle
    try:
        dls = loaders(folder, table, processes=True)
        dls.one_batch()
        assert len(children() - before) == 2
        del dls
        wait_until(lambda: not children() - before)
    finally:
        gc.enable()


@forks
@pytest.mark.parametrize("error", [BlockingIOError(11, "no more processes"), KeyboardInterrupt()])
def test_where_not_all_processes_can_start_none_is_left(error, folder, table, monkeypatch):
    before = children()
    fork, forks_left = os.fork, [1]

    def one_fork() -> int:
        if not forks_left:
            raise error
        forks_left.pop()
        return fork()

    monkeypatch.setattr(os, "fork", one_fork)
    with pytest.raises(type(error)):
        processes(reading_of(squares_block(folder), table))
    assert children() == before


@forks
def test_where_no_process_can_start_threads_read_unless_processes_were_asked_for(folder, table, monkeypatch):
    def no_fork() -> int:
        raise BlockingIOError(11, "no more processes")

    monkeypatch.setattr(os, "fork", no_fork)
    many = pd.concat([table] * 12, ignore_index=True)
    assert readers_of(loaders(folder, many).train) is ThreadExecutor
    with pytest.raises(
        DataError, match=r"processes .* cannot be started: .*no more processes; leave processes=True out"
    ):
        loaders(folder, table, processes=True).one_batch()


@forks
def test_of_an_error_of_a_getter_it_is_told_where_it_happened(folder: Path, table: pd.DataFrame):
    def getter_of_mine(row: Any) -> Path:
        raise LookupError("the shelf is empty")

    readers = processes(reading_of(squares_block(folder, get_x=getter_of_mine), table))
    with pytest.raises(DataError, match="the shelf is empty") as told:
        readers.submit([0], 0).result()
    assert "getter_of_mine" in "".join(traceback.format_exception(told.value))


@forks
def test_processes_know_nothing_of_what_torch_was_told_for_this_thread(folder: Path, table: pd.DataFrame):
    reading = reading_of(squares_block(folder), table)
    expected = reading.chunk([0, 1], 0)
    with torch.device("meta"), torch.autocast("cpu", torch.bfloat16):
        readers = processes(reading)
        assert_same(expected, readers.submit([0, 1], 0).result())


@forks
def test_processes_end_with_the_one_that_started_them(tmp_path: Path):
    coloured_squares(tmp_path, 8).to_csv(tmp_path / "table.csv", index=False)
    program = f"""
import multiprocessing, sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import pandas as pd
from support.learners import squares_block
dls = squares_block(Path({str(tmp_path)!r})).dataloaders(pd.read_csv({str(tmp_path / "table.csv")!r}).fillna(""), bs=4,
                                                   num_workers=2, processes=True)
dls.one_batch()
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        numbers = [int(number) for number in parent.stdout.readline().split()]
        assert len(numbers) == 2
        assert all(Path(f"/proc/{number}").exists() for number in numbers)
        parent.kill()
    wait_until(lambda: not any(alive(number) for number in numbers))


def alive(process: int) -> bool:
    """Whether it runs; one whose end nobody asks for is there as a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


DRAWS = [random.random, np.random.rand, lambda: torch.rand(()).item()]


@forks
@pytest.mark.parametrize("draw", DRAWS, ids=["random", "numpy", "torch"])
def test_what_is_drawn_from_everybodys_generators_differs_from_chunk_to_chunk_and_is_repeatable(draw, folder, table):
    drawing = Drawing(reading_of(squares_block(folder), table), draw)
    readers = processes(drawing)
    first = [readers.submit([i], 0).result().skipped["drawn"] for i in range(6)]
    other = processes(drawing)
    assert len(set(first)) == 6
    assert [other.submit([i], 0).result().skipped["drawn"] for i in (3, 5)] == [first[3], first[5]]


class Drawing(SampleLoader):
    """Says in ``skipped`` what a function draws."""

    def __init__(self, reading: SampleLoader, draw: Callable[[], float]) -> None:
        super().__init__(reading.dataset, reading.pipeline, reading.training, reading.seed, reading.leave_out)
        object.__setattr__(self, "draw", draw)

    def chunk(self, images: Any, epoch: int) -> Chunk:
        return Chunk([], {"drawn": repr(self.draw())}, {})


@forks
def test_starting_processes_leaves_opencv_and_the_generators_as_they_were(folder: Path, table: pd.DataFrame):
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    processes(reading_of(squares_block(folder), table)).submit([0], 0).result()
    assert cv2.getNumThreads() == 2
    cv2.setNumThreads(threads)
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


# ---------------------------------------------------------------------- who it is


def readers_of(loader: Loader) -> type:
    next(loader.batches())
    return type(loader._pool.executor(loader._member, loader._reading()))


def loaders(folder: Path, table: pd.DataFrame, **options: Any) -> DataLoaders:
    block = options.pop("block", squares_block(folder))
    return block.dataloaders(table, bs=8, **{"num_workers": 2, **options})


several = pytest.mark.skipif(cpu_count() < 2, reason="one processor has no use for several processes")


@forks
@several
def test_processes_read_many_images_and_threads_few(folder: Path, table: pd.DataFrame):
    many = pd.concat([table] * 12, ignore_index=True)  # 360 train, 120 validate
    assert readers_of(loaders(folder, many).train) is Forked
    assert readers_of(loaders(folder, many).valid) is ThreadExecutor
    assert readers_of(loaders(folder, table).train) is ThreadExecutor


@forks
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"num_workers": 0}, SerialExecutor),
        ({"num_workers": 1}, ThreadExecutor),
        ({"num_workers": cpu_count() + 1}, ThreadExecutor),
        ({"processes": False}, ThreadExecutor),
        ({"cache": "memory"}, ThreadExecutor),
        ({"num_workers": 1, "processes": True}, Forked),
        ({"cache": "memory", "processes": True}, ThreadExecutor),
    ],
)
def test_who_reads_many_images_depends(options: dict[str, Any], expected: type, folder: Path, table: pd.DataFrame):
    many = pd.concat([table] * 12, ignore_index=True)
    assert readers_of(loaders(folder, many, **options).train) is expected


@forks
def test_threads_read_what_a_function_gives_and_processes_files_even_if_the_first_is_bad(tmp_path, table, folder):
    many = pd.concat([table] * 12, ignore_index=True)
    given = squares_block(folder, get_x=lambda row: (folder / row["fname"]).read_bytes())
    assert readers_of(loaders(folder, many, block=given).train) is ThreadExecutor
    first = pd.concat([many[:1].assign(fname="missing.png"), many], ignore_index=True)
    with pytest.raises(ImageError, match=r"missing\.png': there is no such file"):
        list(loaders(folder, first).train.batches())


@forks
def test_images_of_their_own_sizes_are_not_read_in_processes(folder: Path, table: pd.DataFrame):
    block = squares_block(folder, item_tfms=None, batch_tfms=None)
    assert readers_of(loaders(folder, table, block=block, processes=True).train) is ThreadExecutor


@pytest.mark.parametrize("options", [{"num_workers": 0}, {}, pytest.param({"processes": True}, marks=forks)])
def test_what_is_set_after_the_first_batch_counts_from_then_on(options, folder, table):
    dls = loaders(folder, table, **options)
    dls.one_batch()
    dls.train.seed = 5
    expected = loaders(folder, table, seed=5, **options).train.batches(0)
    assert all(torch.equal(a.x, b.x) for a, b in zip(dls.train.batches(0), expected, strict=True))
    dls.train.pipeline = Pipeline((Resize(16),))
    assert dls.train.one_batch()[0].shape[-2:] == (16, 16)


@forks
def test_an_interrupted_submission_gives_its_room_back(folder, table, monkeypatch):
    train = loaders(folder, table, processes=True).train
    next(train.batches())
    crew = train._pool.executor(train._member, train._reading()).processes
    wait_until(lambda: len(crew._free) == 3)
    submit, left = type(crew._pool).submit, [None, None]

    def interrupted(*args: Any, **options: Any) -> Any:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return submit(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(crew._pool), "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(train.batches())
    wait_until(lambda: len(crew._free) == 3)


def test_readers_are_shared_out_among_the_processes_of_torchrun(folder, table, monkeypatch):
    monkeypatch.setattr("eyebright._system.cpus.cpu_count", lambda: 8)
    for beside, workers in (("1", 8), ("4", 2), ("16", 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", beside)
        assert squares_block(folder).dataloaders(table, bs=8).train.workers == workers


@forks
def test_reading_one_side_says_nothing_of_the_other(folder: Path, table: pd.DataFrame):
    def getter(row: Any) -> Path:
        if row["is_valid"]:
            raise LookupError("the shelf is empty")
        return folder / row["fname"]

    many = pd.concat([table] * 12, ignore_index=True)
    loaders(folder, many, block=squares_block(folder, get_x=getter)).one_batch()


@forks
def test_both_sides_are_read_by_the_same_processes(folder: Path, table: pd.DataFrame):
    before = children()
    dls = loaders(folder, table, processes=True)
    reference = loaders(folder, table, num_workers=0)
    for ours, expected in zip(dls, reference, strict=True):
        for one, other in zip(ours.batches(2), expected.batches(2), strict=True):
            assert torch.equal(one.x, other.x)
            assert torch.equal(one.y, other.y)
    assert len(children() - before) == 2


@forks
def test_a_side_is_read_as_it_says_when_it_is_read_also_where_that_was_changed_meanwhile(folder, table):
    dls = loaders(folder, table, processes=True)
    dls.one_batch()
    dls.valid.processes = False
    assert readers_of(dls.valid) is ThreadExecutor
    assert readers_of(dls.train) is Forked


@forks
def test_other_items_are_read_as_validation_images_are(folder: Path, table: pd.DataFrame):
    dls = loaders(folder, table, processes=True)
    rows = table[table["is_valid"]].reset_index(drop=True)
    assert readers_of(dls.test_dl(rows)) is Forked
    assert torch.equal(next(iter(dls.test_dl(rows)))[0], next(iter(dls.valid))[0])


def test_transforms_of_a_size_say_it(folder: Path):
    block = squares_block(folder, item_tfms=Resize((30, 50)), batch_tfms=aug_transforms(size=20))
    assert Pipeline.create(block.item_tfms, block.batch_tfms, torch.device("cuda")).host_size == (30, 50)
    assert Pipeline.create(block.item_tfms, block.batch_tfms, torch.device("cpu")).host_size == (20, 20)
