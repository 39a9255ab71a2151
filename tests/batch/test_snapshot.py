"""A snapshot decides as the one decision does, and defers what it does not know; a file that is none is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forbear.batch.rules import Snapshot
from forbear.batch.snapshot import BadSnapshot
from forbear.optout import case, policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Failure, Profile, Verdict
from forbear.optout.protocols import infringing_list, operator
from forbear.optout.readers import url as urls
from forbear.optout.readers.url import NotAUrl
from tests.batch.hosts import AT, DAY, answered, asked_of, decided, write

VECTORS = sorted((Path(__file__).parents[1] / "vectors").glob("*.jsonl"))
ROBOTS = "User-agent: *\nDisallow: /no\n"


def same(found: Decision, expected: Decision) -> None:
    assert (found.verdict, found.reasons, found.url) == (expected.verdict, expected.reasons, expected.url)
    assert (found.statements, found.verdicts) == (expected.statements, expected.verdicts)
    assert [replace(gap, detail="") for gap in found.gaps] == [replace(gap, detail="") for gap in expected.gaps]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_each_vector_comes_out_the_same(tmp_path: Path, path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    for number, line in enumerate(lines[:: len(lines) // 12 + 1]):
        vector = json.loads(line) | {"at": AT.isoformat()}
        _, question, said = case.from_json(vector)
        lists = [each for each in said if each.url in (operator.LIST, infringing_list.LIST)]
        answers = {each.url: each for each in said if each not in lists}
        for origin in {urls.parse(url).origin for url in answers}:  # a case that names another host requested that too
            answers.setdefault(f"{origin}/robots.txt", Capture(f"{origin}/robots.txt", 404))
        known = Captures([*lists, *answers.values()])
        while not isinstance(expected := decide(question, known, policy.load()), Decision):
            for place in expected:
                answers[place.url] = Capture(place.url, 404)
                known.add(answers[place.url])
        file = write(tmp_path / f"{number}.parquet", answers.values(), lists=lists)
        one: dict[str, Any] = {"agent": question.agent, "use": question.use, "profile": question.profile}
        with Snapshot(file, at=AT, **one) as snapshot:
            same(snapshot.decide(question.url), expected)


PATHS = st.text(st.sampled_from("/abn%*$.?=é "), max_size=6).map(lambda text: f"/{text}")
LINES = st.lists(
    st.one_of(
        st.builds("{}: {}".format, st.sampled_from(["Disallow", "Allow", "disalow"]), PATHS),
        st.sampled_from(
            [
                "User-agent: *",
                "User-agent: ForbearBot",
                "User-agent: GPTBot",
                "Content-Usage: train-ai=n",
                "Content-Usage: /a train-ai=n",
                "Content-Signal: ai-train=no",
                "License: https://a.example/l.xml",
            ]
        ),
    ),
    max_size=8,
)
ANSWERS = st.one_of(
    st.builds(lambda lines: ("\n".join(lines) + "\n", 200), LINES),
    st.sampled_from([("", 404), ("<html>", 200), ("", 503), ("", 403), ("", 429)]),
)
TDMREP = st.sampled_from(["", "[]", "{", '[{"location": "/a*", "tdm-reservation": 1}]', "<html>"])


@settings(max_examples=40)
@given(
    robots=st.one_of(ANSWERS, st.none()),
    tdmrep=TDMREP,
    urls=st.lists(PATHS, min_size=1, max_size=5),
    profile=st.sampled_from(Profile),
)
def test_any_host_and_url_come_out_the_same(
    tmp_path_factory: pytest.TempPathFactory, robots: Any, tdmrep: str, urls: list[str], profile: Profile
) -> None:
    origin = "https://a.example"
    said = [Capture(f"{origin}/robots.txt", error=Failure.TIMEOUT)]
    if robots:
        said = [answered(f"{origin}/robots.txt", *robots)]
    said.append(answered(f"{origin}/.well-known/tdmrep.json", tdmrep, kind="application/json"))
    for path in urls:
        said = asked_of(origin + path, *said)
    other = asked_of("https://b.example/", answered("https://b.example/robots.txt", ROBOTS))
    file = write(tmp_path_factory.getbasetemp() / "any.parquet", [*said, *other])
    asked = [origin + path for path in urls] + ["https://b.example/no", "ftp://a.example/"]
    with Snapshot(file, profile=profile, at=AT) as snapshot:
        answers = snapshot.decide_all(asked)
        assert answers.decisions[0] is None
        assert answers.index[-1] == 0
        for url, position in zip(asked[:-1], answers.index, strict=False):
            expected = decided(url, [*said, *other], profile)
            same(snapshot.decide(url), expected)
            found = answers.decisions[position]
            assert found is not None
            assert (found.verdict, found.reasons) == (expected.verdict, expected.reasons)


def test_what_is_not_there_or_has_expired_is_deferred(tmp_path: Path) -> None:
    said = asked_of("https://a.example/", answered("https://a.example/robots.txt", ROBOTS))
    file = write(tmp_path / "hosts.parquet", said)
    with Snapshot(file, at=AT) as snapshot:
        assert snapshot.decide("https://a.example/yes").verdict is Verdict.ALLOWED
        assert snapshot.decide("https://a.example/no").reasons[0].quote == "Disallow: /no"
        for url in ("https://b.example/", "https://0.example/", "http://a.example/", "https://a.example:8443/"):
            unknown = snapshot.decide(url)
            assert unknown.verdict is Verdict.DEFERRED
            assert {reason.quote for reason in unknown.reasons} == {"unasked"}
        with pytest.raises(NotAUrl):
            snapshot.decide("mailto:a@a.example")
    with Snapshot(file, at=AT + DAY) as snapshot:
        late = snapshot.decide("https://a.example/yes")
        assert late.verdict is Verdict.DEFERRED
        assert {reason.quote for reason in late.reasons} == {"expired"}
        assert "expired on 2026-01-16 12:00" in late.gaps[0].detail
    with Snapshot(file) as snapshot:
        assert snapshot.decide("https://a.example/yes").verdict is Verdict.DEFERRED, "now is not then"


def test_a_redirect_to_another_host_is_followed_within_the_snapshot(tmp_path: Path) -> None:
    moved = Capture("https://www.a.example/robots.txt", 301, (("Location", "https://a.example/robots.txt"),))
    said = [moved, answered("https://a.example/robots.txt", ROBOTS)]
    said = asked_of("https://a.example/", *asked_of("https://www.a.example/", *said))
    with Snapshot(write(tmp_path / "hosts.parquet", said), at=AT) as snapshot:
        assert snapshot.decide("https://www.a.example/no").reasons[0].source == "https://a.example/robots.txt"
    late = [capture for capture in said if capture.url != "https://a.example/robots.txt"]
    with Snapshot(write(tmp_path / "without.parquet", late), at=AT) as snapshot:
        assert snapshot.decide("https://www.a.example/no").verdict is Verdict.DEFERRED


def test_many_hosts_are_found_whatever_the_order(tmp_path: Path) -> None:
    hosts = [f"h{number}.example" for number in range(400)]
    said = [answered(f"https://{host}/robots.txt", f"User-agent: *\nDisallow: /{host}\n") for host in hosts]
    said += [each for host in hosts for each in asked_of(f"https://{host}/") if not each.url.endswith("robots.txt")]
    file = write(tmp_path / "hosts.parquet", said)
    assert pq.ParquetFile(file).num_row_groups > 1
    with Snapshot(file, at=AT) as snapshot:
        for host in hosts[::7] + hosts[::-11]:
            assert snapshot.decide(f"https://{host}/{host}").reasons[0].quote == f"Disallow: /{host}"
            assert snapshot.decide(f"https://{host}/x").verdict is Verdict.ALLOWED
        assert snapshot.about.hosts == 400
        assert snapshot.about.answers == len(said)


def test_the_operators_lists_go_with_it(tmp_path: Path) -> None:
    own = operator.capture_of(
        b"effect,match,by,at,why,until,lifts\nblock,a.example,legal,2026-01-01,letter of 3 May,,\n"
    )
    said = asked_of("https://a.example/")
    with Snapshot(write(tmp_path / "hosts.parquet", said, lists=[own]), at=AT) as snapshot:
        refused = snapshot.decide("https://www.a.example/")
        assert refused.verdict is Verdict.EXCLUDED
        assert refused.reasons[0].protocol == "operator"


def altered(file: Path, table: pa.Table | None = None, content: str | None = None, **changes: Any) -> None:
    """Writes a snapshot again with another content, or saying something else about itself."""
    metadata = {name: pq.read_metadata(file).metadata[name] for name in (b"forbear.snapshot", b"forbear.policy")}
    if content is not None:
        metadata[b"forbear.policy"] = content.encode()
        changes["policy"] = hashlib.sha256(content.encode()).hexdigest()
    metadata[b"forbear.snapshot"] = json.dumps(json.loads(metadata[b"forbear.snapshot"]) | changes).encode()
    pq.write_table((table or pq.read_table(file)).replace_schema_metadata(metadata), file)


def test_what_is_not_a_snapshot_is_refused_with_a_sentence(tmp_path: Path) -> None:
    file = write(tmp_path / "hosts.parquet", asked_of("https://a.example/"))

    def refused() -> str:
        with pytest.raises(BadSnapshot) as caught:
            Snapshot(file)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    altered(file, format=2)
    assert "has format 2 and this Forbear reads 1" in refused()
    altered(file, format=1, policy="0" * 64)
    assert "its policy is not the one" in refused()
    older = json.loads(policy.load().content)
    del older["protocols"]["rsl"]
    altered(file, content=json.dumps(older))
    assert "was made by Forbear 0, which did not know rsl" in refused()
    altered(file, content="[]")
    assert "its policy cannot be read" in refused()
    write(file, asked_of("https://a.example/"))
    altered(file, operator_list="0" * 64)
    assert "does not have the lists" in refused()
    pq.write_table(pa.table({"url": ["https://a.example/"]}), file)
    assert "make one with `forbear export hosts`" in refused()
    file.write_bytes(b"no")
    assert "cannot be read as Parquet" in refused()
    with pytest.raises(FileNotFoundError):
        Snapshot(tmp_path / "none.parquet")


def test_damage_is_seen_when_it_is_met_and_nothing_is_allowed(tmp_path: Path) -> None:
    body = "User-agent: *\nDisallow: /no\n" + "".join(f"# {number}\n" for number in range(500))
    said = asked_of("https://a.example/", answered("https://a.example/robots.txt", body))
    file = write(tmp_path / "hosts.parquet", said)
    table = pq.read_table(file)
    bodies = [each.replace(b"/no", b"/on") for each in table["body"].to_pylist()]
    altered(file, table.set_column(9, table.schema.field("body"), [bodies]))
    with Snapshot(file, at=AT) as snapshot, pytest.raises(BadSnapshot, match=r"the rows of a\.example"):
        snapshot.decide("https://a.example/no")
    octets = bytearray(write(file, said).read_bytes())
    body = pq.read_metadata(file).row_group(0).column(9)
    start, size = body.data_page_offset, body.total_compressed_size
    octets[start : start + size] = bytes(size)
    file.write_bytes(octets)
    with Snapshot(file, at=AT) as snapshot, pytest.raises(BadSnapshot, match="is damaged"):
        snapshot.decide("https://a.example/no")


def test_an_answer_of_the_future_is_one_of_now(tmp_path: Path) -> None:
    file = write(tmp_path / "hosts.parquet", asked_of("https://a.example/"), at=AT + timedelta(hours=1))
    with Snapshot(file, at=AT) as snapshot:
        assert snapshot.decide("https://a.example/").verdict is Verdict.ALLOWED
