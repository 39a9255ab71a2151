"""``forbear lists``: import, state and age, entries to review; ``check`` and ``decide`` with a list."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forbear.optout.protocols.infringing_list import LIST
from tests.scripts.conftest import Run

FRESH = (datetime.now(UTC) - timedelta(days=3)).date().isoformat()
STALE = (datetime.now(UTC) - timedelta(days=60)).date().isoformat()


def test_an_entry_that_would_shut_too_much_waits_for_a_person(forbear: Run, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("films.example\ngithub.io\n192.0.2.7\n")
    done = forbear("lists", "import", "--format", "denmark", "--published", FRESH, "list.csv")
    assert done.returncode == 3, done
    assert "3 sites named: 3 new, 0 removed" in done.stdout
    assert "github.io: shared hosting" in done.stdout
    assert forbear("lists", "show", "--csv").stdout.count("\n") == 2
    state = forbear("lists", "--json")
    assert state.returncode == 3
    assert "2 entries of denmark to review: forbear lists show --held" in state.stderr
    assert {key: json.loads(state.stdout)[key] for key in ("state", "age", "in_force", "held")} == {
        "state": "fresh",
        "age": 3,
        "in_force": 1,
        "held": 2,
    }
    for domain in ("github.io", "192.0.2.7"):
        done = forbear("lists", "accept", domain, "--by", "legal team", "--why", "order 12/26 means all of it")
        assert done.returncode == 0, done
    assert forbear("lists").returncode == 0
    assert "legal team" in forbear("lists", "show").stdout
    assert forbear("lists", "accept", "github.io", "--by", "x", "--why", "y").returncode == 2


def test_a_list_that_was_not_renewed_is_reported(forbear: Run, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("films.example\n")
    assert forbear("lists", "import", "--format", "denmark", "--published", STALE, "list.csv").returncode == 0
    done = forbear("lists")
    assert done.returncode == 3
    assert "denmark is 60 days old" in done.stderr


def test_a_list_that_shrinks_by_more_than_half_is_looked_at_first(forbear: Run, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a.example\nb.example\nc.example\n")
    (tmp_path / "2.csv").write_text("a.example\n")
    assert forbear("lists", "import", "--format", "denmark", "--published", STALE, "1.csv").returncode == 0
    second = ("lists", "import", "--format", "denmark", "--published", FRESH, "2.csv")
    done = forbear(*second)
    assert done.returncode == 2
    assert "names 1 site, and the list has 3." in done.stderr
    assert "1 site named: 0 new, 2 removed" in forbear(*second, "--shrinks").stdout


def test_a_list_that_grows_beyond_all_measure_may_be_another_file(forbear: Run, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a.example\n")
    (tmp_path / "2.csv").write_text("".join(f"s{number}.example\n" for number in range(30)))
    done = forbear("lists", "import", "--format", "denmark", "--published", STALE, "1.csv")
    assert "never tested with a real issue" in done.stdout
    second = ("lists", "import", "--format", "denmark", "--published", FRESH, "2.csv")
    done = forbear(*second)
    assert done.returncode == 2
    assert "names 30 sites, and the list has 1." in done.stderr
    assert "30 sites named: 30 new, 1 removed" in forbear(*second, "--grows").stdout
    assert "never" in forbear("lists", "formats").stdout


def test_wrong_use_is_a_sentence(forbear: Run, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("films.example\n")
    (tmp_path / "none.csv").write_text("nothing here\n")
    future = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    begin = ("lists", "import", "--format", "denmark", "--published")
    assert forbear(*begin, FRESH, "list.csv").returncode == 0
    for words, sentence in (
        ((*begin, FRESH, "list.csv"), "has been imported already"),
        ((*begin, FRESH, "none.csv"), "It has no site where"),
        ((*begin, future, "list.csv"), "is in the future"),
        (("lists", "accept", "https://films.example/", "--by", "x", "--why", "y"), "is not a domain"),
    ):
        done = forbear(*words)
        assert (done.returncode, done.stderr.count("Traceback")) == (2, 0), done
        assert sentence in " ".join(done.stderr.split())


def test_check_and_decide_go_by_the_list(forbear: Run, tmp_path: Path, site: tuple[str, dict[str, str]]) -> None:
    (tmp_path / "list.csv").write_text("films.example\n")
    assert forbear("lists", "import", "--format", "denmark", "--published", FRESH, "list.csv").returncode == 0
    (tmp_path / "infringing.csv").write_text(forbear("lists", "show", "--csv").stdout)
    case = json.dumps({"id": "1", "url": "https://films.example/"})
    answer = json.loads(forbear("decide", "--infringing-list", "infringing.csv", text=case).stdout)
    assert answer["verdict"] == "excluded"
    assert [reason["source"] for reason in answer["reasons"]] == [LIST]
    assert json.loads(forbear("decide", text=case).stdout)["verdict"] == "allowed"
    origin, _ = site
    port = origin.rpartition(":")[2]
    asked = ("--resolve", f"films.example:{port}:127.0.0.1", "--allow-private-networks", "--json")
    url = f"http://films.example:{port}/"
    done = forbear("check", url, *asked, "--infringing-list", "infringing.csv")
    assert done.returncode == 1, done
    assert json.loads(done.stdout)["looked_at"] == []
    (tmp_path / "bad.csv").write_text("films.example\n")
    assert forbear("decide", "--infringing-list", "bad.csv", text=case).returncode == 2
