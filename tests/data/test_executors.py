"""All executors - serial, threads, processes - give the same samples and the same errors."""

import gc
import itertools
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
from eyebright.data.process_executor import ProcessExecutor, ProcessPool, can_fork
from eyebright.data.sample_loader import Chunk, SampleLoader
from eyebright.errors import DataError, ImageError
from eyebright.image import decode_memory
from eyebright.transforms.pipeline import Pipeline
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from support.images import coloured_squares
from support.learners import squares_block

Make = Callable[[SampleLoader], Executor]
IMAGE_BYTES = 40 * 40 * 3

needs_fork = pytest.mark.skipif(not can_fork(), reason="this system cannot fork processes")


def process_executor(sample_loader: SampleLoader, image_bytes: int = IMAGE_BYTES) -> ProcessExecutor:
    return ProcessPool([sample_loader], 2, chunk_size=4, image_bytes=image_bytes, slots=3).executor(0)


MAKERS = {
    "serial": SerialExecutor,
    "threads": lambda sample_loader: ThreadExecutor(sample_loader, 3),
    "processes": process_executor,
    "processes whose shared memory is too small": lambda sample_loader: process_executor(
        sample_loader, IMAGE_BYTES - 1
    ),
}


@pytest.fixture(
    params=[
        pytest.param(make, id=name, marks=needs_fork if "processes" in name else ()) for name, make in MAKERS.items()
    ]
)
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


def sample_loader_of(
    block: DataBlock, table: pd.DataFrame, *, training: bool = True, skip_bad: bool = False
) -> SampleLoader:
    pipeline = Pipeline.create(block.item_tfms, block.batch_tfms, torch.device("cuda"))  # only its name counts here
    return SampleLoader(block.datasets(table).train, pipeline, training, seed=1, skip_bad=skip_bad)


def assert_same(chunk: Chunk, expected: Chunk) -> None:
    assert [sample.item_index for sample in chunk.samples] == [sample.item_index for sample in expected.samples]
    for a, b in zip(chunk.samples, expected.samples, strict=True):
        assert np.array_equal(a.preprocessed.pixels, b.preprocessed.pixels)
        assert np.array_equal(a.preprocessed.warp.matrix, b.preprocessed.warp.matrix)
        assert a.preprocessed.warp.input_size == b.preprocessed.warp.input_size
        first, second = a.preprocessed.device_params, b.preprocessed.device_params
        assert (first is None) == (second is None)
        if first is not None and second is not None:
            assert first.lighting == second.lighting
            assert np.array_equal(first.warp.matrix, second.warp.matrix)
        assert torch.equal(a.target, b.target)
        assert a.target.dtype == b.target.dtype
    assert chunk.skipped == expected.skipped


@pytest.mark.parametrize("training", [True, False])
def test_all_executors_give_the_same_samples(make: Make, training: bool, folder: Path, table: pd.DataFrame):
    sample_loader = sample_loader_of(squares_block(folder), table, training=training)
    chunks = [[0, 3, 5, 1], [2], [29, 8], [7, 6, 4, 9], [10, 11], [12, 13, 14, 15]]
    executor = make(sample_loader)
    for epoch in (0, 5):
        # More chunks than slots: none is closed before the last is read.
        pending = [executor.submit(indices, epoch) for indices in chunks]
        for indices, chunk in zip(chunks, [each.result() for each in pending], strict=True):
            assert_same(chunk, sample_loader.chunk(indices, epoch))
        for each in pending:
            each.close()


def test_a_chunk_carries_the_seconds_its_worker_spent(make: Make, folder: Path, table: pd.DataFrame):
    chunk = make(sample_loader_of(squares_block(folder), table)).submit([0, 1, 2], 0).result()
    assert set(chunk.seconds) == {"decoding", "augmenting"}
    assert all(0 < seconds < 5 for seconds in chunk.seconds.values())


def test_without_workers_no_batch_is_read_ahead(folder: Path, table: pd.DataFrame) -> None:
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


def test_an_unreadable_image_is_an_error_and_the_executor_goes_on(make, tmp_path, damaged):
    sample_loader = sample_loader_of(squares_block(tmp_path), damaged)
    executor = make(sample_loader)
    with pytest.raises(ImageError, match=r"cannot read image '.*002\.png': the file is truncated") as caught:
        executor.submit([1, 2], 0).result()
    assert Path(caught.value.path) == tmp_path / "002.png"
    assert_same(sample_loader.chunk([0, 1], 0), executor.submit([0, 1], 0).result())


def test_an_unreadable_image_is_skipped_and_listed_where_that_is_allowed(make, tmp_path, damaged):
    chunk = make(sample_loader_of(squares_block(tmp_path), damaged, skip_bad=True)).submit([1, 2, 3], 0).result()
    assert len(chunk.samples) == 2
    assert list(chunk.skipped) == [str(tmp_path / "002.png")]
    assert "truncated" in chunk.skipped[str(tmp_path / "002.png")]


class UnpicklableError(Exception):
    """Cannot be unpickled, because its message is not its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


@pytest.mark.parametrize(
    "error", [LookupError("the shelf is empty"), UnpicklableError("the shelf is empty", "the jar too")]
)
def test_an_error_of_a_getter_keeps_its_message_and_the_executor_goes_on(
    make: Make, error: Exception, folder: Path, table: pd.DataFrame
):
    def getter(row: Any) -> Path:
        if row["fname"] == "002.png":
            raise error
        return folder / row["fname"]

    executor = make(sample_loader_of(squares_block(folder, get_x=getter), table))
    with pytest.raises(Exception, match="the shelf is empty"):
        executor.submit([1, 2], 0).result()
    assert len(executor.submit([3, 4], 0).result().samples) == 2


def test_the_slots_of_closed_chunks_are_used_again_and_those_of_open_chunks_are_not(
    make: Make, folder: Path, table: pd.DataFrame
):
    sample_loader = sample_loader_of(squares_block(folder), table)
    executor = make(sample_loader)
    for _ in range(20):
        pending = [executor.submit([0, 1, 2, 3], 0) for _ in range(3)]
        pending[1].result()
        for each in pending:
            each.close()
    open_chunk = executor.submit([4, 5, 6, 7], 1)
    samples = open_chunk.result()
    for _ in range(20):
        closed = executor.submit([8, 9, 10, 11], 1)
        closed.result()
        closed.close()
    assert_same(samples, sample_loader.chunk([4, 5, 6, 7], 1))


# ---------------------------------------------------------------------- worker processes only


def children() -> set[int]:
    return {child.pid for child in multiprocessing.active_children() if child.pid is not None}


@needs_fork
@pytest.mark.parametrize("pool_noticed", [False, True])
def test_a_dead_worker_is_an_error_and_the_next_chunk_starts_new_workers(
    pool_noticed: bool, folder: Path, table: pd.DataFrame
):
    before = children()
    sample_loader = sample_loader_of(squares_block(folder), table)
    executor = process_executor(sample_loader)
    executor.submit([0], 0).result()
    for child in children() - before:
        os.kill(child, signal.SIGKILL)
    if pool_noticed:
        wait_until(lambda: not children() - before)
        time.sleep(0.2)
    with pytest.raises(DataError, match="a worker process that reads images has died.*num_workers=0"):
        executor.submit([0], 0).result()
    assert_same(sample_loader.chunk([1, 2], 0), executor.submit([1, 2], 0).result())


@needs_fork
def test_worker_processes_exit_when_their_loaders_are_deleted(folder: Path, table: pd.DataFrame):
    gc.collect()
    before = children()
    gc.disable()  # there must be no reference cycle
    try:
        dls = loaders(folder, table, processes=True)
        dls.one_batch()
        assert len(children() - before) == 2
        del dls
        wait_until(lambda: not children() - before)
    finally:
        gc.enable()


@needs_fork
@pytest.mark.parametrize("error", [BlockingIOError(11, "no more processes"), KeyboardInterrupt()])
def test_if_one_worker_cannot_start_the_others_are_killed(error, folder, table, monkeypatch):
    before = children()
    fork, forks_left = os.fork, [1]

    def one_fork() -> int:
        if not forks_left:
            raise error
        forks_left.pop()
        return fork()

    monkeypatch.setattr(os, "fork", one_fork)
    with pytest.raises(type(error)):
        process_executor(sample_loader_of(squares_block(folder), table))
    assert children() == before


@needs_fork
def test_if_no_process_can_start_threads_read_unless_processes_were_asked_for(folder, table, monkeypatch):
    def no_fork() -> int:
        raise BlockingIOError(11, "no more processes")

    monkeypatch.setattr(os, "fork", no_fork)
    many = pd.concat([table] * 12, ignore_index=True)
    assert executor_type(loaders(folder, many).train) is ThreadExecutor
    with pytest.raises(
        DataError, match="worker processes cannot be started: .*no more processes; leave processes=True out"
    ):
        loaders(folder, table, processes=True).one_batch()


@needs_fork
def test_the_traceback_of_an_error_in_a_worker_names_the_getter(folder: Path, table: pd.DataFrame):
    def getter_of_mine(row: Any) -> Path:
        raise LookupError("the shelf is empty")

    executor = process_executor(sample_loader_of(squares_block(folder, get_x=getter_of_mine), table))
    with pytest.raises(DataError, match="the shelf is empty") as caught:
        executor.submit([0], 0).result()
    assert "getter_of_mine" in "".join(traceback.format_exception(caught.value))


@needs_fork
def test_worker_processes_do_not_inherit_torch_settings_of_the_calling_thread(folder: Path, table: pd.DataFrame):
    sample_loader = sample_loader_of(squares_block(folder), table)
    expected = sample_loader.chunk([0, 1], 0)
    with torch.device("meta"), torch.autocast("cpu", torch.bfloat16):
        executor = process_executor(sample_loader)
        assert_same(expected, executor.submit([0, 1], 0).result())


@pytest.mark.slow
@needs_fork
def test_worker_processes_exit_when_their_parent_is_killed(tmp_path: Path):
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
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        assert all(Path(f"/proc/{pid}").exists() for pid in workers)
        parent.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in workers))


def is_alive(pid: int) -> bool:
    """Whether the process runs and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


DRAWS = [random.random, np.random.rand, lambda: torch.rand(()).item()]


@needs_fork
@pytest.mark.parametrize("draw", DRAWS, ids=["random", "numpy", "torch"])
def test_draws_from_global_generators_differ_between_chunks_and_are_repeatable(draw, folder, table):
    drawing = DrawingLoader(sample_loader_of(squares_block(folder), table), draw)
    executor = process_executor(drawing)
    first = [executor.submit([i], 0).result().skipped["drawn"] for i in range(6)]
    again = process_executor(drawing)
    assert len(set(first)) == 6
    assert [again.submit([i], 0).result().skipped["drawn"] for i in (3, 5)] == [first[3], first[5]]


class DrawingLoader(SampleLoader):
    """Reports in ``skipped`` what a function draws."""

    def __init__(self, original: SampleLoader, draw: Callable[[], float]) -> None:
        super().__init__(original.dataset, original.pipeline, original.training, original.seed, original.skip_bad)
        object.__setattr__(self, "draw", draw)

    def chunk(self, images: Any, epoch: int) -> Chunk:
        return Chunk([], {"drawn": repr(self.draw())}, {})


@needs_fork
def test_starting_processes_leaves_opencv_and_the_generators_as_they_were(folder: Path, table: pd.DataFrame):
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    process_executor(sample_loader_of(squares_block(folder), table)).submit([0], 0).result()
    assert cv2.getNumThreads() == 2
    cv2.setNumThreads(threads)
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


# ---------------------------------------------------------------------- which executor a loader uses


def executor_of(loader: Loader) -> Executor:
    return loader._pool.executor(loader._index_in_pool, loader._worker_config())


def executor_type(loader: Loader) -> type:
    next(loader.batches())
    return type(executor_of(loader))


def loaders(folder: Path, table: pd.DataFrame, **options: Any) -> DataLoaders:
    block = options.pop("block", squares_block(folder))
    return block.dataloaders(table, bs=8, **{"num_workers": 2, **options})


needs_two_cpus = pytest.mark.skipif(cpu_count() < 2, reason="on one CPU processes are not chosen")


@needs_fork
@needs_two_cpus
def test_processes_read_many_images_and_threads_read_few(folder: Path, table: pd.DataFrame):
    many = pd.concat([table] * 12, ignore_index=True)  # 360 for training, 120 for validation
    assert executor_type(loaders(folder, many).train) is ProcessExecutor
    assert executor_type(loaders(folder, many).valid) is ThreadExecutor
    assert executor_type(loaders(folder, table).train) is ThreadExecutor


@needs_fork
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"num_workers": 0}, SerialExecutor),
        ({"num_workers": 1}, ThreadExecutor),
        ({"num_workers": cpu_count() + 1}, ThreadExecutor),
        ({"processes": False}, ThreadExecutor),
        ({"cache": "memory"}, ThreadExecutor),
        ({"num_workers": 1, "processes": True}, ProcessExecutor),
        ({"cache": "memory", "processes": True}, ThreadExecutor),
    ],
)
def test_the_executor_for_many_images_depends_on_the_options(
    options: dict[str, Any], expected: type, folder: Path, table: pd.DataFrame
):
    many = pd.concat([table] * 12, ignore_index=True)
    assert executor_type(loaders(folder, many, **options).train) is expected


@needs_fork
def test_threads_read_images_without_a_path_and_processes_read_files_even_if_the_first_is_missing(
    tmp_path, table, folder
):
    many = pd.concat([table] * 12, ignore_index=True)
    in_memory = squares_block(folder, get_x=lambda row: (folder / row["fname"]).read_bytes())
    assert executor_type(loaders(folder, many, block=in_memory).train) is ThreadExecutor
    first_is_missing = pd.concat([many[:1].assign(fname="missing.png"), many], ignore_index=True)
    with pytest.raises(ImageError, match=r"missing\.png': there is no such file"):
        list(loaders(folder, first_is_missing).train.batches())


@needs_fork
def test_images_of_different_sizes_are_not_read_in_processes(folder: Path, table: pd.DataFrame):
    block = squares_block(folder, item_tfms=None, batch_tfms=None)
    assert executor_type(loaders(folder, table, block=block, processes=True).train) is ThreadExecutor


@pytest.mark.parametrize("options", [{"num_workers": 0}, {}, pytest.param({"processes": True}, marks=needs_fork)])
def test_settings_changed_after_the_first_batch_apply_to_the_next(options, folder, table):
    dls = loaders(folder, table, **options)
    dls.one_batch()
    dls.train.seed = 5
    expected = loaders(folder, table, seed=5, **options).train.batches(0)
    assert all(torch.equal(a.x, b.x) for a, b in zip(dls.train.batches(0), expected, strict=True))
    dls.train.pipeline = Pipeline((Resize(16),))
    assert dls.train.one_batch()[0].shape[-2:] == (16, 16)


@needs_fork
def test_an_interrupted_submit_releases_its_slot(folder, table, monkeypatch):
    train = loaders(folder, table, processes=True).train
    next(train.batches())
    pool = executor_of(train).pool
    wait_until(lambda: len(pool._free_slots) == 3)
    submit, left = type(pool._pool).submit, [None, None]

    def interrupted(*args: Any, **options: Any) -> Any:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return submit(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(pool._pool), "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(train.batches())
    wait_until(lambda: len(pool._free_slots) == 3)


def test_the_cpus_are_divided_among_the_processes_of_torchrun(folder, table, monkeypatch):
    monkeypatch.setattr("eyebright._system.cpus.cpu_count", lambda: 8)
    for processes, workers in (("1", 8), ("4", 2), ("16", 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        assert squares_block(folder).dataloaders(table, bs=8).train.workers == workers


@needs_fork
def test_an_error_in_the_validation_set_does_not_stop_the_training_loader(folder: Path, table: pd.DataFrame):
    def getter(row: Any) -> Path:
        if row["is_valid"]:
            raise LookupError("the shelf is empty")
        return folder / row["fname"]

    many = pd.concat([table] * 12, ignore_index=True)
    loaders(folder, many, block=squares_block(folder, get_x=getter)).one_batch()


@needs_fork
def test_both_loaders_are_read_by_the_same_processes(folder: Path, table: pd.DataFrame):
    before = children()
    dls = loaders(folder, table, processes=True)
    reference = loaders(folder, table, num_workers=0)
    for loader, serial in zip(dls, reference, strict=True):
        for batch, expected in zip(loader.batches(2), serial.batches(2), strict=True):
            assert torch.equal(batch.x, expected.x)
            assert torch.equal(batch.y, expected.y)
    assert len(children() - before) == 2


@needs_fork
def test_a_loader_that_no_longer_wants_processes_gets_threads_and_the_other_keeps_its_processes(folder, table):
    dls = loaders(folder, table, processes=True)
    dls.one_batch()
    dls.valid.processes = False
    assert executor_type(dls.valid) is ThreadExecutor
    assert executor_type(dls.train) is ProcessExecutor


@needs_fork
def test_a_test_loader_reads_as_the_validation_loader_does(folder: Path, table: pd.DataFrame):
    dls = loaders(folder, table, processes=True)
    rows = table[table["is_valid"]].reset_index(drop=True)
    assert executor_type(dls.test_dl(rows)) is ProcessExecutor
    assert torch.equal(next(iter(dls.test_dl(rows)))[0], next(iter(dls.valid))[0])


def test_the_host_size_of_a_pipeline_is_that_of_its_cpu_transforms(folder: Path):
    block = squares_block(folder, item_tfms=Resize((30, 50)), batch_tfms=aug_transforms(size=20))
    assert Pipeline.create(block.item_tfms, block.batch_tfms, torch.device("cuda")).host_size == (30, 50)
    assert Pipeline.create(block.item_tfms, block.batch_tfms, torch.device("cpu")).host_size == (20, 20)


@needs_fork
def test_worker_processes_and_threads_read_large_images_one_after_another_where_memory_is_short(
    make: Make, folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The images count as large, and no memory as available; what is inside of preprocessing says when."""
    monkeypatch.setattr(decode_memory, "_MAX_UNCOUNTED_PIXELS", 0)
    monkeypatch.setattr(decode_memory, "available_memory", lambda: 0)
    preprocess = Pipeline._preprocess

    def logged(pipeline: Pipeline, *args: Any) -> Any:
        began = time.monotonic()
        made = preprocess(pipeline, *args)
        time.sleep(0.01)
        (tmp_path / f"{began}-{os.getpid()}").write_text(f"{began} {time.monotonic()}")
        return made

    monkeypatch.setattr(Pipeline, "_preprocess", logged)
    executor = make(sample_loader_of(squares_block(folder), table))
    for chunk in [executor.submit([2 * i, 2 * i + 1], 0) for i in range(6)]:
        chunk.result()
    spans = sorted(tuple(map(float, file.read_text().split())) for file in tmp_path.glob("*.*-*"))
    assert len(spans) == 12
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
