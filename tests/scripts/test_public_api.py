"""The public API: every name of ``forbear.__all__`` loads, lazily, and is in the reference."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import forbear

ROOT = Path(__file__).parents[2]

NAMES = {"scrapy", "sqlalchemy", "twisted", "forbear.crawler", "forbear.optout.model", "forbear.storage"}
LOADED = """
import sys
import forbear
{use}
print(sorted({names} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("use", "loaded"),
    [
        ("dir(forbear), forbear.__version__", []),
        ("[getattr(forbear, name) for name in forbear.__all__ if name != 'ForbearAddon']", ["forbear.optout.model"]),
    ],
    ids=["import", "decide"],
)
def test_what_is_not_used_is_not_loaded(use: str, loaded: list[str]) -> None:
    program = LOADED.format(use=use, names=NAMES)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loaded)


@pytest.mark.parametrize("name", forbear.__all__)
def test_every_name_loads(name: str) -> None:
    found = getattr(forbear, name)
    assert name in ("__version__", "load_policy") or found.__name__ == name


def test_no_other_name_loads() -> None:
    assert dir(forbear) == sorted(forbear.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'crawl'"):
        _ = forbear.crawl


def test_the_reference_names_the_same() -> None:
    [page] = ROOT.glob("docs/**/api.md")
    assert re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.M) == sorted(
        forbear.__all__, key=str.lower
    )


def test_the_example_in_the_docstring_runs(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line[4:] for line in str(forbear.__doc__).splitlines() if line.startswith("    ")]
    exec("\n".join(lines), {})
    assert capsys.readouterr().out.strip() == lines[-1].rpartition("# ")[2]
