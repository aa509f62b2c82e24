import math

from eyebright.report.history import history_section
from eyebright.web.blocks import Charts, Table


def blocks(history):
    (section,) = history_section(history)
    return section.blocks


def test_without_a_history_there_is_no_section():
    assert history_section([]) == []


def test_losses_and_scores_have_a_chart_each():
    rows = [
        {
            "epoch": 0,
            "train_loss": 0.7,
            "valid_loss": 2.6,
            "perplexity": 9.0,
            "mAP": 0.5,
            "f1": math.nan,
            "seconds": 3.0,
        },
        {"epoch": 1, "train_loss": 0.4, "valid_loss": 1.5, "perplexity": 7.0, "mAP": 0.7, "f1": 0.9, "seconds": 3.1},
    ]
    charts, table = blocks(rows)
    assert isinstance(charts, Charts)
    assert [chart.caption.legend for chart in charts.charts] == [
        [("first", "train_loss"), ("second", "valid_loss")],
        [("first", "mAP"), ("second", "f1")],
    ]
    assert isinstance(table, Table)
    assert list(table.columns) == list(rows[0])
    assert [cell.text for cell in table.rows[0]] == ["0", "0.7000", "2.6000", "9.0000", "0.5000", "–", "3.0"]


def test_the_x_axis_shows_the_epoch_column():
    charts, _ = blocks(
        [{"epoch": 3, "train_loss": 1.0}, {"epoch": 4, "train_loss": 0.5}, {"epoch": 5, "train_loss": 0.2}]
    )
    assert [tick.text for tick in charts.charts[0].x_ticks] == ["3", "4", "5"]


def test_epochs_of_several_trainings_are_numbered_consecutively():
    charts, _ = blocks(
        [{"epoch": 0, "train_loss": 1.0}, {"epoch": 0, "train_loss": 0.5}, {"epoch": 1, "train_loss": 0.2}]
    )
    assert [tick.text for tick in charts.charts[0].x_ticks] == ["1", "2", "3"]


def test_the_axis_of_epochs_has_few_ticks():
    for epochs in (1, 300):
        charts, _ = blocks([{"train_loss": 1.0 / (i + 1)} for i in range(epochs)])
        assert 1 <= len(charts.charts[0].x_ticks) <= 10


def test_a_history_without_losses_and_scores_has_no_chart():
    (table,) = blocks([{"epoch": 0, "seconds": 2.0}])
    assert isinstance(table, Table)


def test_the_note_argument_becomes_the_introduction_of_the_section():
    (section,) = history_section([{"epoch": 0, "train_loss": 1.0}], "at a threshold of 0.5")
    assert section.intro == "at a threshold of 0.5"
