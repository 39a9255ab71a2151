"""``forbear check --advise``: sites and folders, text, JSON and SARIF, exit codes, and wrong use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

LOCAL = "--allow-private-networks"
PLAIN = "User-agent: *\nAllow: /\nContent-Signal: ai-train=no\n"
RESERVED = '[{"location": "/", "tdm-reservation": 1}]'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a page and a robots.txt that says what it means."""
    for name, text in {"robots.txt": PLAIN, "index.html": "<!DOCTYPE html><p>text</p>"}.items():
        _write(tmp_path / "public" / name, text)
    return tmp_path / "public"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _findings(done: Any) -> list[dict[str, Any]]:
    findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return findings


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"/robots.txt": PLAIN, "/": "<p>text</p>"}, 0),
        ({"/.well-known/tdmrep.json": RESERVED, "/": "<p>text</p>"}, 0),
        ({"/.well-known/tdmrep.json": '{"tdm-reservation": 1}', "/": "<p>text</p>"}, 1),
        ({"/robots.txt": "User-agent: *\nDisallow: /\n"}, 0),
    ],
)
def test_a_site_says_what_it_means_or_not(forbear, site, files: dict[str, str], code: int) -> None:
    origin, served = site
    served |= files
    done = forbear("check", "--advise", LOCAL, f"{origin}/")
    assert (done.returncode, done.stderr) == (code, "")


def test_what_cannot_be_read_is_reported_with_code_3(forbear) -> None:
    done = forbear("check", "--advise", LOCAL, "http://127.0.0.1:1/")
    assert done.returncode == 3
    assert "Its content is not known" in done.stdout


def test_a_page_that_is_reserved_from_training_is_read_for_its_owner(forbear, site) -> None:
    """The header or element beside the file can contradict it, and only the page shows that."""
    origin, files = site
    files |= {
        "/.well-known/tdmrep.json": RESERVED,
        "/": '<!DOCTYPE html><meta name="tdm-reservation" content="0"><p>text</p>',
    }
    done = forbear("check", "--advise", "--json", LOCAL, f"{origin}/")
    assert done.returncode == 1
    assert "site/contradiction" in [found["rule"] for found in _findings(done)]


def test_people_read_words_where_and_correction_by_weight(forbear, folder: Path) -> None:
    _write(folder / ".well-known" / "tdmrep.json", '{"tdm-reservation": true}\n')
    _write(folder / "about" / "index.html", '<!DOCTYPE html><meta name="robots" content="noimageai"><p>text</p>')
    _write(folder / "robots.txt", "User-agent: *\nDisallow: private\n# credit us\n")
    done = forbear("check", "--advise", "public", "--as", "https://example.org/")
    assert done.returncode == 1
    shown = done.stdout
    headings = [
        "\nUnderstood",
        "Not understood by any crawler",
        "Read differently, or not at all, by some crawlers",
        "Good to know",
    ]
    assert [shown.index(heading) for heading in headings] == sorted(shown.index(heading) for heading in headings)
    lines = [line.strip() for line in shown.splitlines()]
    assert 'you wrote: "tdm-reservation": true' in lines
    assert "where: .well-known/tdmrep.json, whole file" in lines
    assert "rule: tdmrep/not-an-array, TDMRep 6.1" in lines
    assert '{"location": "/", "tdm-reservation": 1}' in lines
    assert "correction: see above" in lines
    assert "where: about/index.html, line 1, (//meta)[1]" in lines
    assert lines[-1] == "public: 3 errors, 2 warnings."


def test_a_folder_is_read_without_network_at_the_address_it_will_have(forbear, folder: Path) -> None:
    _write(folder / "rsl.xml", '<rsl xmlns="https://rslstandard.org/rsl"><content url="/"/></rsl>')
    done = forbear("check", "--advise", "--json", "public", "--as", "https://example.org/docs/")
    found = {one["rule"]: one for one in _findings(done)}
    assert found["place/elsewhere"]["source"] == "https://example.org/docs/robots.txt"
    assert found["place/elsewhere"]["file"] == "robots.txt"
    assert found["rsl/not-named"]["fix"]["text"] == "License: https://example.org/docs/rsl.xml"


def test_hidden_folders_are_not_published(forbear, folder: Path) -> None:
    _write(folder / ".git" / "tdmrep.json", "{")
    assert forbear("check", "--advise", "public", "--as", "https://example.org/").returncode == 0


def test_nothing_in_a_file_drives_the_terminal(forbear, folder: Path) -> None:
    _write(folder / "robots.txt", "User-agent: *\nDisallow: \u009b31m\u202ex\n")
    done = forbear("check", "--advise", "public", "--as", "https://example.org/")
    assert "\\x9b31m\\u202ex" in done.stdout
    assert not re.search("[\x1b\x9b\u202e]", done.stdout)


# --- SARIF


def test_sarif_has_the_shape_of_2_1_0(forbear, folder: Path) -> None:
    """The required properties and the closed lists of OASIS SARIF 2.1.0 that the log makes use of, by section."""
    _write(folder / ".well-known" / "tdmrep.json", '{\n"tdm-reservation": true\n}\n')
    _write(folder / "robots.txt", "Disallow: /a\nUser-agent: *\nAllow: /\n")
    done = forbear("check", "--advise", "--sarif", "public", "--as", "https://example.org/")
    assert done.returncode == 1
    log = json.loads(done.stdout)
    assert set(log) == {"$schema", "version", "runs"}  # 3.13
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert set(run) == {"tool", "columnKind", "results"}  # 3.14
    driver = run["tool"]["driver"]
    assert driver["name"] == "Forbear"  # 3.19.8
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])  # 3.49.3
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]  # 3.49.9
        assert rule["fullDescription"]["text"]  # 3.49.10
        assert rule["help"]["text"]  # 3.49.13
        assert rule["properties"]["section"]
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")  # 3.50.3
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]  # 3.27.5, 3.27.6
        assert result["level"] in ("error", "warning", "note")  # 3.27.10
        assert result["message"]["text"]  # 3.27.11
        assert re.fullmatch("[0-9a-f]{64}", result["partialFingerprints"]["words/v1"])  # 3.27.17
        for location in result["locations"]:
            place = location["physicalLocation"]
            assert not re.search(r"[\s\\]", place["artifactLocation"]["uri"])  # 3.4.3
            assert place["region"]["startLine"] >= 1  # 3.30.5
    assert {result["ruleId"] for result in run["results"]} >= {"tdmrep/not-an-array", "robots/outside-group"}
    assert "words/understood" not in {result["ruleId"] for result in run["results"]}


def test_sarif_names_files_and_its_fixes_replace_what_is_wrong(forbear, folder: Path) -> None:
    _write(folder / ".well-known" / "tdmrep.json", '{\n"tdm-reservation": true\n}\n')
    _write(folder / "robots.txt", "Disallow: /a\nUser-agent: *\nAllow: /\n")
    done = forbear("check", "--advise", "--sarif", "public", "--as", "https://example.org/")
    results = json.loads(done.stdout)["runs"][0]["results"]
    changes = [change for result in results for fix in result.get("fixes", []) for change in fix["artifactChanges"]]
    # A file is put right once, however many faults its correction mends.
    for uri, change in {change["artifactLocation"]["uri"]: change for change in changes}.items():
        (replacement,) = change["replacements"]
        region = replacement["deletedRegion"]
        lines = (folder.parent / uri).read_text(encoding="utf-8").splitlines()
        lines[region["startLine"] - 1 : region["endLine"]] = [replacement["insertedContent"]["text"]]
        _write(folder.parent / uri, "\n".join(lines))
    assert len(changes) > 2
    again = forbear("check", "--advise", "public", "--as", "https://example.org/")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "public: 0 errors, 0 warnings.")


# --- wrong use


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--advise", "public"), "public is a folder. Add --as URL, where its files will be published."),
        (("--advise", "public", "--as", "example.org"), "example.org"),
        (("--advise", "empty", "--as", "https://example.org/"), "empty has no HTML, text, JSON or XML file"),
        (("--advise", "nowhere", "--as", "https://example.org/"), "nowhere"),
        (("--advise", "--json", "--sarif", "https://a.example/"), "--json and --sarif cannot be combined"),
        (("--sarif", "https://a.example/"), "--sarif and --as need --advise."),
        (("--as", "https://a.example/", "https://a.example/"), "--sarif and --as need --advise."),
    ],
)
def test_wrong_use_is_one_sentence(forbear, folder: Path, words: tuple[str, ...], sentence: str) -> None:
    (folder.parent / "empty").mkdir()
    done = forbear("check", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
