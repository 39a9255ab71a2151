"""``forbear demo``: every protocol at work, on a web that runs here."""

from __future__ import annotations

from optout import policy


def test_each_protocol_is_seen_at_work(forbear, tmp_path) -> None:
    done = forbear("demo", "--out", "out")
    assert (done.returncode, done.stderr) == (0, "")
    table = done.stdout.partition("The crawl finished")[0]
    rows = [line.split() for line in table.splitlines() if "http://" in line]
    ends = {next(word for word in words if word.startswith("http://")): words[0] for words in rows}
    assert set(ends.values()) >= {"kept", "excluded", "deferred", "redirected"}
    seen = {name for name in policy.load().protocols if any(name in words for words in rows)}
    assert seen == set(policy.load().protocols)
    for file in ("photos.example/harbour.jpg", "photos.example/sealed.jpg", "shelf.example/book.epub"):
        assert ends[f"http://{file}"] == "excluded"
    assert ends["http://photos.example/open.jpg"] == "kept"
    assert ["kept", "excluded", "http://choir.example/", "robots-intent"] in [words[:4] for words in rows]
    assert list((tmp_path / "out").glob("*/corpus/warc/*.warc.gz"))
