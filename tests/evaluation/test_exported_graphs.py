"""What an export's record says of its graphs, read from JSON that anybody may have written."""

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, strategies as st

from eyebright.errors import DataError
from eyebright.evaluation.exported_graphs import ExportedGraph, exported_graphs

PARITY = {
    "images": 207, "made": 7, "difference": 1.24e-05, "measured_in": "in probability",
    "answers": 1035, "near": 2, "changed": 1, "changed_far": 0,
}  # fmt: skip
COST = {
    "parity": {**PARITY, "images": 200, "made": 0, "changed": 76, "changed_far": 74, "difference": 0.6},
    "metric": "mAP", "score": 0.9063, "float32_score": 0.9224, "bytes": 100, "float32_bytes": 400,
    "milliseconds": 20.5, "float32_milliseconds": 31.25,
}  # fmt: skip
FILES: dict[str, Any] = {
    "model.onnx": {"sha256": "0", "bytes": 400, "precision": "float32", "parity": PARITY},
    "model_int8.onnx": {"sha256": "1", "bytes": 100, "precision": "int8", "calibrated_on": 190, "cost": COST},
    "preprocess.py": {"sha256": "2", "bytes": 3},
}


def test_each_compared_graph_has_its_numbers() -> None:
    whole, narrow = exported_graphs(FILES)
    assert (whole.file, whole.precision, whole.bytes, whole.images, whole.made) == (
        "model.onnx", "float32", 400, 207, 7,
    )  # fmt: skip
    assert (whole.largest_difference, whole.decisions, whole.near) == (1.24e-05, 1035, 2)
    assert (whole.changed, whole.changed_not_near) == (1, 0)
    assert (whole.metric, whole.score) == ("", None)
    assert (narrow.changed, narrow.changed_not_near, narrow.calibrated_on) == (76, 74, 190)
    assert (narrow.metric, narrow.score, narrow.float32_score) == ("mAP", 0.9063, 0.9224)
    assert (narrow.milliseconds, narrow.float32_milliseconds) == (20.5, 31.25)
    assert json.loads(json.dumps(narrow.to_json()))["float32_score"] == 0.9224


def test_the_sentence_says_what_was_compared_and_what_it_costs() -> None:
    whole, narrow = exported_graphs(FILES)
    assert whole.sentence == (
        "float32, 207 images, largest difference 1.2e-05 in probability; 1 of 1,035 decisions changed, 2 near a "
        "threshold"
    )
    assert narrow.sentence.endswith("; mAP 0.9063 (float32: 0.9224)")
    cost = {**COST, "parity": {**PARITY, "images": 0}, "score": None, "float32_score": None}
    unmeasured = ExportedGraph.from_json("model_int8.onnx", {**FILES["model_int8.onnx"], "cost": cost})
    assert unmeasured.sentence == "int8, not compared with Python: there were no validation images"
    points = ExportedGraph.from_json("model.onnx", {**FILES["model.onnx"], "parity": {**PARITY, "answers": 0}})
    assert points.sentence == "float32, 207 images, largest difference 1.2e-05 in probability"


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("bytes",), -1, "no valid 'bytes'"),
        (("bytes",), True, "no valid 'bytes'"),
        (("precision",), 3, "no valid 'precision'"),
        (("parity",), [], "no valid 'parity'"),
        (("parity", "images"), "207", "no valid 'images'"),
        (("parity", "difference"), float("nan"), "no valid 'difference'"),
        (("parity", "difference"), 10**400, "no valid 'difference'"),
        (("parity", "measured_in"), None, "no valid 'measured_in'"),
    ],
)
def test_an_invalid_value_is_an_error(place: tuple[str, ...], value: Any, says: str) -> None:
    files = copy.deepcopy(FILES)
    entry = files["model.onnx"]
    for name in place[:-1]:
        entry = entry[name]
    entry[place[-1]] = value
    with pytest.raises(DataError, match=f"the record of the export has {says}"):
        exported_graphs(files)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*PARITY, *COST]), inner, max_size=6),
    max_leaves=12,
)


@given(facts=st.dictionaries(st.sampled_from(["parity", "cost", "bytes", "precision"]), JSON))
def test_whatever_a_record_holds_it_is_read_or_refused(facts: dict[str, Any]) -> None:
    try:
        graphs = exported_graphs({"model.onnx": facts})
    except DataError:
        return
    json.dumps([graph.to_json() for graph in graphs], allow_nan=False)
    assert all(graph.sentence for graph in graphs)


def test_reading_it_loads_no_torch() -> None:
    code = "import sys, eyebright.evaluation.exported_graphs; print({'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
