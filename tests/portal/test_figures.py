from __future__ import annotations

import io
import re
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
