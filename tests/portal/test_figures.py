from __future__ import annotations

import io
import re
from functools import partial
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from forbear.portal.dashboard.figures import PLOTS
from forbear.portal.dashboard.plots import bars, columns
from forbear.storage.accounts.accounts import Role
from forbear.storage.log.rollups import Figure
from tests.portal.signing_in import enrolled, sign_in


@pytest.fixture
def dashboard(portal, engine, crawled):
    sign_in(portal, enrolled(engine, "vera", Role.VIEWER))
    return portal


def test_every_figure_is_drawn_within_the_policy_of_the_page(dashboard):
    page = dashboard.get("/dashboard/figures")
    assert page.status_code == 200
    assert page.text.count("<svg") == len(PLOTS)
    assert " style=" not in page.text
    assert "<style" not in page.text
    assert "There is nothing to show yet." not in page.text


def test_a_log_without_anything_has_no_figures(portal, engine):
    sign_in(portal, enrolled(engine, "vera", Role.VIEWER))
    page = portal.get("/dashboard/figures")
    assert page.text.count("There is nothing to show yet.") == len(PLOTS)


def test_the_numbers_of_a_figure_are_a_table(dashboard):
    answer = dashboard.get("/dashboard/figures/deferred.csv")
    assert answer.text == "heading,decisions\r\n503,1\r\n"
    file = pq.read_table(io.BytesIO(dashboard.get("/dashboard/figures/deferred.parquet").content))
    assert file.to_pylist() == [{"heading": "503", "decisions": 1}]
    assert dashboard.get("/dashboard/figures/deferred.jsonl").json() == {"heading": "503", "decisions": 1}
    assert dashboard.get("/dashboard/figures/none.csv").status_code == 404
    assert dashboard.get("/dashboard/figures/deferred.exe").status_code == 404


@pytest.mark.parametrize("draw", [columns, bars])
def test_labels_are_text_whatever_they_are(draw):
    hostile = "<script>$x$</script>&"
    svg = str(draw(Figure((hostile, "_b"), ((hostile, (1, 2)), ("x" * 99, (3, 4))))))
    texts = [text.text for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert hostile in texts
    assert "<script" not in svg
    assert re.search(r'class="fill-s1', svg)


@pytest.mark.parametrize(
    ("draw", "rows", "lengths", "steps"),
    [
        (columns, ((10, 30), (0, 20)), ([1], [3, 2]), ["0", "10", "20", "30", "40"]),
        (bars, ((10, 30), (0, 20)), ([1], [3, 2]), ["0", "10", "20", "30", "40"]),
        (partial(bars, is_stacked=False), ((10, 30), (0, 20)), ([1], [3, 2]), ["0", "10", "20", "30"]),
        (partial(bars, unit="bytes"), ((10**9, 5 * 10**8),), ([2], [1]), ["0", "500 MB", "1 GB", "1.5 GB"]),
        (bars, ((0, 0),), ([], []), ["0", "1"]),
    ],
)
def test_bars_are_as_long_as_their_numbers_by_the_steps_of_the_grid(draw, rows, lengths, steps):
    figure = Figure(("a", "b"), tuple((f"heading {at}", row) for at, row in enumerate(rows)))
    picture = ElementTree.fromstring(str(draw(figure)))
    paths = {path.get("class"): path.get("d", "") for path in picture.iter("{http://www.w3.org/2000/svg}path")}
    line, bar = (r"M\S+ (\S+)h", r"(\S+)V(\S+)h") if draw is columns else (r"M(\S+) \S+v", r"M(\S+) \S+H(\S+)v")
    first, second, *_ = (float(at) for at in re.findall(line, paths["stroke-line"].replace("M", " M")))
    for name, expected in zip(("fill-s0", "fill-s1"), lengths, strict=True):
        found = re.findall(bar, paths[name].replace("z", " "))
        assert [(float(end) - float(start)) / (second - first) for start, end in found] == pytest.approx(
            expected, abs=0.01
        )
    assert [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text") if text.text in steps] == steps
