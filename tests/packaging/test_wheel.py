"""The wheel and the sdist: what is in them, and what they do where there is nothing else of this repository.

They are built from a copy of the tracked files, the wheel from the sdist. The clean environment has Forbear from the
wheel alone, and borrows its dependencies from the environment that runs the tests.
"""

from __future__ import annotations

import sys
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from forbear.crawler.demo.demo_server import Web
from tests.crawler.crawls import page, plain
from tests.packaging.clean import borrow, copy, run, tracked
from tests.packaging.distributions import ROOT, without

MODULE = """
import runpy
sys.argv[0] = name = sys.argv.pop(1)
runpy.run_module(name, run_name="__main__")
"""

SPIDER = """
import scrapy
from scripts.words import START

class Pages(scrapy.Spider):
    name = "pages"
    start_urls = [START]

    def parse(self, response):
        yield {"url": response.url}
        yield from response.follow_all(css="a")
"""


@dataclass(frozen=True)
class Built:
    """Where the sdist and the wheel are."""

    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    copy([name for name in tracked() if not name.startswith(("docs/", "bench/"))], folder / "repository")
    build = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"
    python = [sys.executable, "-W", "ignore", "-c", build]
    sdist = folder / run([*python, "build_sdist", str(folder)], folder / "repository").splitlines()[-1]
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    return Built(sdist, folder / run([*python, "build_wheel", str(folder)], unpacked).splitlines()[-1])


@pytest.fixture(scope="module")
def clean(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of an environment."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet"]
    run([*pip, "--no-index", "--no-deps", "--disable-pip-version-check", "--no-compile", built.wheel], folder)
    [packages] = folder.glob("lib/python*/site-packages")
    assert {path.name.partition("-")[0] for path in packages.iterdir()} == {"forbear"}
    borrow(folder)
    return folder / "bin"


def packaged() -> dict[str, str]:
    """The files of the packages that pyproject.toml names: their names in the wheel and in the repository."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = setuptools["package-dir"] | {"forbear": "forbear"}
    rooms = {f"{folder}/": f"{package.replace('.', '/')}/" for package, folder in folders.items()}
    return {
        rooms[room] + name.removeprefix(room): name for name in tracked() for room in rooms if name.startswith(room)
    }


def test_the_wheel_holds_each_file_of_the_rooms_and_nothing_else(built: Built):
    files = packaged()
    with zipfile.ZipFile(built.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        assert sorted(held) == sorted(files)
        assert [name for name in held if wheel.read(name) != (ROOT / files[name]).read_bytes()] == []
    with tarfile.open(built.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    others = {name for name in names - set(files.values()) if name.partition("/")[0] not in ("", "forbear.egg-info")}
    assert {name for name in others if "." in name or name.isupper()} == {
        "LICENSE",
        "MANIFEST.in",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
        "setup.cfg",
    }


def test_the_demo_runs_and_the_examples_take_its_pages(clean: Path, tmp_path: Path):
    where = run([clean / "python", "-c", "import forbear.optout.decide as of; print(of.__file__)"], tmp_path)
    assert where.startswith(str(clean.parent))
    assert run([clean / "python", "-m", "forbear", "--version"], tmp_path) == run(
        [clean / "forbear", "--version"], tmp_path
    )
    assert "Corpus: " in run([clean / "forbear", "demo"], tmp_path)
    [out] = (tmp_path / "forbear-demo").iterdir()
    run([clean / "forbear", "export", "hosts", "-o", "hosts.parquet", "--db", f"sqlite:///{out}/forbear.db"], tmp_path)
    examples, pages = ROOT / "examples" / "batch", out / "corpus" / "pages"
    run([clean / "python", examples / "pipeline.py", "hosts.parquet", pages, "filtered"], tmp_path)
    kept = pq.read_table(tmp_path / "filtered" / "kept")
    assert kept.schema.equals(pq.read_table(pages).schema)
    [table] = pages.iterdir()
    run([clean / "python", examples / "table.py", "hosts.parquet", table, "kept.parquet"], tmp_path)
    assert set(kept["url"].to_pylist()) <= set(pq.read_table(tmp_path / "kept.parquet")["url"].to_pylist())


def test_the_addon_works_without_extras_in_a_project_named_crawler_with_scripts_of_its_own(clean: Path, tmp_path: Path):
    run([clean / "python", "-m", "scrapy", "startproject", "crawler"], tmp_path)
    project = tmp_path / "crawler"
    with (project / "crawler" / "settings.py").open("a", encoding="utf-8") as settings:
        settings.write('ADDONS = {"forbear.addon.ForbearAddon": 100}\nFORBEAR_CONTACT = "https://o.example/bot"\n')
    (project / "crawler" / "spiders" / "pages.py").write_text(SPIDER, "utf-8")
    (project / "scripts").mkdir()
    (project / "scripts" / "words.py").write_text('START = "http://a.example/"\n', "utf-8")
    sites = {
        "a.example": {"/robots.txt": plain("User-agent: *\nDisallow: /no\n"), "/": page("A", "/no"), "/no": page("B")}
    }
    with Web(sites) as web:
        words = without(MODULE, "scrapy", "crawl", "pages", "-s", "DOWNLOAD_DELAY=0", "-O", "items.csv")
        run([clean / "python", *words], project, http_proxy=web.proxy)
    assert (project / "items.csv").read_text("utf-8").split() == ["url", "http://a.example/"]
    assert "/no" not in {hit.path for hit in web.hits}
    for command in (["log", "--verdict", "excluded"], ["lookup", "a.example"]):
        words = without(MODULE, "forbear", *command, "--db", "sqlite:///forbear.db")
        assert "Disallow: /no" in run([clean / "python", *words], project)
