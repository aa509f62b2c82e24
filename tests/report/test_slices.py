"""The section on slices: what is significantly worse is first, and how many slices were tried is said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from eyebright.evaluation.slices import find_slices
from eyebright.report.build import build_report
from eyebright.report.data import ReportFacts
from eyebright.report.slices import slices_section
from eyebright.tasks.category import CategoryBlock
from eyebright.web.page import render_page
from support.evaluations import make_evaluation


def test_a_slice_that_is_worse_is_first_and_the_number_of_slices_is_said() -> None:
    rng = np.random.default_rng(0)
    sites = rng.choice(["north", "south", "<b>east"], 400)
    targets = torch.from_numpy(rng.integers(0, 2, 400))
    right = torch.from_numpy(rng.random(400) < np.where(sites == "south", 0.5, 0.95))
    outputs = torch.nn.functional.one_hot(torch.where(right, targets, 1 - targets), 2).float() * 4
    evaluation = make_evaluation(CategoryBlock(["a", "b"]), outputs, targets)
    evaluation = replace(evaluation, columns=pd.DataFrame({"site": sites}))
    [section] = slices_section(evaluation, find_slices(evaluation))
    assert section.intro.startswith("A slice is all evaluated images that have one value in a column of the data")
    assert "1 of the 3 slices scores worse than all other images by more than chance explains" in section.intro
    assert section.blocks[0].rows[0][0].text == "site: south"  # type: ignore[union-attr]
    page = render_page(build_report(evaluation, ReportFacts()))
    assert "site: south" in page
    assert "<b>east" not in page
    without = make_evaluation(CategoryBlock(["a", "b"]), outputs, targets)
    assert slices_section(without, find_slices(without)) == []
