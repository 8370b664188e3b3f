import re

import numpy as np
import pytest

from soravec.evaluation.html_tables import confusion_table, html_table
from soravec.evaluation.intervals import Figure
from soravec.evaluation.metrics import calibration, classification_metrics
from soravec.evaluation.plots import curve_plot, interval_plot, reliability_plot
from soravec.evaluation.results import Curve, Point
from soravec.evaluation.tables import in_words, number, table


def numbers(pattern, text):
    return [float(one) for one in re.findall(pattern, text)]


def test_numbers_in_words():
    assert number(0.0) == number(-1e-17) == "0.000"
    assert number(-1e-17, signed=True) == "+0.000"
    assert number(0.25, signed=True) == "+0.250"
    assert number(0.00012345) == "0.000123"
    assert number(123456.0) == "1.23e+05"
    assert in_words(Figure(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"
    assert in_words(Figure(0.5)) == "0.500"
    assert in_words(Figure(float("nan"))) == in_words(None) == "-"


def test_text_tables_are_aligned():
    assert table(["", "n"], [["a", "10"], ["longer", "2"]]) == [
        "         n",
        "a       10",
        "longer   2",
    ]


def test_dots_and_whiskers_stand_at_their_numbers():
    rows = [("a <b>", "model", Figure(0.5, 0.25, 0.75)), ("chance", "chance", Figure(1.0))]
    svg = interval_plot(rows, chance=0.25, unit_scale=True)
    assert numbers(r'cx="([\d.]+)"', svg) == [170, 334]  # 6 to 334 are 0 to 1
    assert re.search(r'class="whisker model" x1="88.0" y1="35.0" x2="252.0"', svg)
    assert re.search(r'class="chance-line" x1="88.0"', svg)
    assert "a &lt;b&gt;" in svg
    assert "<b>" not in svg


def test_an_axis_of_errors_begins_at_zero_and_has_round_ticks():
    rows = [("a", "model", Figure(0.07, 0.05, 0.1)), ("b", "baseline", Figure(float("nan")))]
    svg = interval_plot(rows, chance=None, unit_scale=False)
    assert re.findall(r'class="tick"[^>]*>([^<]+)<', svg) == ["0", "0.025", "0.05", "0.075", "0.1"]
    assert numbers(r'cx="([\d.]+)"', svg) == [pytest.approx(6 + 0.7 * 328)]


def test_a_curve_begins_with_the_clips_as_they_are():
    points = (Point(0.1, Figure(0.5, 0.4, 0.6)), Point(0.2, Figure(0.0, 0.0, 0.1)))
    curve = Curve("noise", "deviation", points, Figure(1.0, 0.9, 1.0), 2.0)
    svg = curve_plot(curve, chance=0.25, unit_scale=True)
    heights = numbers(r'cy="([\d.]+)"', svg)
    assert heights == [10, pytest.approx(83), 156]
    ticks = re.findall(r'class="tick"[^>]*>([^<]+)<', svg)
    assert ticks[-3:] == ["as is", "0.1", "0.2"]


def test_bars_of_reliability_end_at_the_share_that_is_right():
    svg = reliability_plot(
        calibration(np.array([0.9, 0.9, 0.3]), np.array([True, False, True]), 10)
    )
    bars = re.findall(r'<rect class="bar" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', svg)
    tops = [float(top) for _, top, _ in bars]
    assert tops == [10, pytest.approx(10 + 286 / 2)]
    assert float(bars[1][2]) > float(bars[0][2])
    assert "2 answers of 0.90: 0.50 right" in svg


def test_the_confusion_matrix_names_rows_and_columns():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    page = confusion_table(classification_metrics(scores, np.array([0, 1, 1]), ("a&b", "c")))
    assert re.findall(r"<td[^>]*>(\d*)</td>", page) == ["1", "", "1", "1"]
    assert "2 c</th>" in page
    assert 'title="c called a&amp;b"' in page


def test_of_many_classes_only_what_is_confused_is_listed():
    names = [f"class {n}" for n in range(30)]
    truth = np.arange(60) % 30
    scores = np.eye(30)[np.where(truth == 7, 8, truth)]
    page = confusion_table(classification_metrics(scores, truth, names))
    assert re.findall(r"<td[^>]*>([^<]*)</td>", page) == ["class 7", "class 8", "2"]


def test_tables_escape_their_headings():
    assert "<th>a &lt; b</th>" in html_table(("a < b",), [["1"]])
