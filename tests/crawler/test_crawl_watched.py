from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, create_engine

from forbear.crawler.crawl import metrics
from forbear.crawler.crawl.context import Tally
from forbear.crawler.demo.demo_server import Reply, Web
from tests.crawler.crawls import Crawler, ask, events, late, named, page, plain, tree, until


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Name and label values of each sample."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_crawl_shows_its_figures_and_events(crawler: Crawler) -> None:
    sites = {
        "a.example": late(tree(6), 0.3) | {"/robots.txt": plain("User-agent: *\nDisallow: /5\n")},
        "b.example": {"/": page("/x?name=Ada"), "/x?name=Ada": page(), "/robots.txt": plain("")},
        "c.example": {"/robots.txt": Reply(status=503)},
    }
    with Web(sites) as web:
        seeds = [f"http://{host}/" for host in sites]
        process = crawler.start(web, *seeds, metrics_port=0, log_format="json")
        until(lambda: named(process, "listening"))
        address = named(process, "listening")[0]["address"]
        until(lambda: len(named(process, "kept")) >= 4)
        health, (status, text) = ask(address, "/health"), ask(address, "/metrics")
        nothing = ask(address, "/")
        done = process.wait()
    assert done.code == 0, done
    assert health == (200, "This worker is alive and its database answers.\n")
    assert nothing[0] == 404
    assert status == 200
    found = samples(text)
    assert found["forbear_pages_total",] >= 4
    assert found["forbear_page_bytes_total",] > 400
    assert found["forbear_requests_total",] > 4
    assert found["forbear_decisions_total", "", "allowed"] >= 8
    assert found["forbear_hosts_leased",] >= 1
    assert found["forbear_log_batch_seconds_count",] > 4
    assert found["forbear_log_failures_total",] == 0
    assert ("forbear_deferred_total",) in found
    assert address.startswith("127.0.0.1:")
    assert named(process, "began")[0]["crawl"] == named(process, "ended")[0]["crawl"] == done.summary["crawl"]
    assert {line["url"] for line in named(process, "kept")} >= {"http://b.example/", "http://b.example/x?name=redacted"}
    assert "Ada" not in done.stderr
    excluded = [line for line in named(process, "decided") if line["verdict"] == "excluded"]
    assert [(line["host"], line["protocols"], line["stage"]) for line in excluded] == [
        ("a.example", ["robots"], "request")
    ]
    for line in events(process):
        assert {"time", "level", "event", "message"} <= set(line)


def test_a_port_that_another_has_and_a_failure_are_reported_in_a_sentence(crawler: Crawler) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = crawler.run(None, "http://a.example/", code=2, metrics_port=port)
    assert f"--metrics-port {port} cannot be opened on 127.0.0.1: another program uses it." in done.stderr
    process = crawler.start(None, "http://a.example/", log_format="json", db="postgresql+psycopg://127.0.0.1:1/nothing")
    assert process.wait().code == 4
    [failed] = events(process)
    assert (failed["level"], failed["event"]) == ("error", "failed")
    assert "cannot be used" in failed["message"]


@pytest.fixture
def monitor(engine: Engine) -> Iterator[metrics.Monitor]:
    monitor = metrics.Monitor("127.0.0.1", 0, engine)
    with monitor.at_work():
        yield monitor


def test_a_worker_that_does_not_move_is_not_well(monitor: metrics.Monitor) -> None:
    context: Any = SimpleNamespace(crawl="none", tally=Tally(), heartbeat=None, writer=SimpleNamespace(failures=0))
    monitor.show(context)
    assert ask(monitor.address, "/health")[0] == 200
    context.heartbeat = time.monotonic() - 100
    assert ask(monitor.address, "/health") == (503, "This worker has not moved for 100 seconds.\n")
    context.heartbeat = time.monotonic()
    assert ask(monitor.address, "/health")[0] == 200
    assert ask(monitor.address, "/metrics")[0] == 200


def test_a_database_that_is_away_or_silent_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PROBE_SECONDS", 0.01)
    engine = create_engine("postgresql+psycopg://127.0.0.1:1/nothing")
    monitor = metrics.Monitor("127.0.0.1", 0, engine)
    with monitor.at_work():
        until(lambda: ask(monitor.address, "/health")[0] == 503)
        assert "cannot be used: connection" in ask(monitor.address, "/health")[1]
        assert ask(monitor.address, "/metrics")[0] == 200
    monkeypatch.setattr(metrics, "SILENCE_SECONDS", -1.0)
    assert (monitor.complaint() or "").startswith("The database has not answered for ")
    engine.dispose()
