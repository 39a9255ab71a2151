"""HTTP endpoints of a running worker: ``/metrics`` for Prometheus, ``/health`` for orchestrators."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from forbear.crawler.identity import BadConfig
from forbear.storage.database import StorageError, ping, reading, translated
from forbear.storage.frontier import frontier

if TYPE_CHECKING:
    from forbear.crawler.crawl.context import Context
    from forbear.storage.database import Engine

logger = logging.getLogger(__name__)

PROBE_SECONDS = 2.0
"""How often the database is probed."""

ESTIMATE_SECONDS = 15.0
"""How often the frontier is estimated."""

SILENCE_SECONDS = 30.0
"""A worker or a database that is silent for this long is unhealthy."""

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Probe:
    """Probes the database from its own thread, so that requests to this worker never wait for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forbear-probe", daemon=True)
        self._failure: str | None = None
        self._answered = monotonic()
        self._estimated = 0.0
        self.crawl: str | None = None
        self.urls: dict[str, int] = {}

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stops the thread; waits a limited time for a probe that is under way."""
        self._stop.set()
        self._thread.join(PROBE_SECONDS)

    def complaint(self) -> str | None:
        """Returns what is wrong with the database, in a sentence; None if nothing is."""
        silent = monotonic() - self._answered
        if silent > SILENCE_SECONDS:
            return f"The database has not answered for {silent:.0f} seconds."
        return self._failure

    def _run(self) -> None:
        while True:
            try:
                with translated(self._engine.url):
                    self._ask()
                self._failure = None
            except StorageError as error:
                self._failure = str(error)
            self._answered = monotonic()
            if self._stop.wait(PROBE_SECONDS):
                return

    def _ask(self) -> None:
        with reading(self._engine) as connection:
            ping(connection)
            if self.crawl and monotonic() - self._estimated > ESTIMATE_SECONDS:
                self.urls = {str(state): n for state, n in frontier.estimate_states(connection, self.crawl).items()}
                self._estimated = monotonic()


class Figures(Collector):
    """The figures of a crawl, read from its tally when Prometheus asks."""

    def __init__(self, context: Context, probe: Probe) -> None:
        self._context = context
        self._probe = probe

    def collect(self) -> Iterable[Metric]:
        """Yields totals since this worker started, and present values, by the naming rules of Prometheus."""
        tally = self._context.tally
        for name, what, value in (
            ("forbear_pages", "Pages kept.", tally.kept),
            ("forbear_page_bytes", "Bytes of pages kept, decoded.", tally.octets),
            ("forbear_requests", "Requests sent, those for files with reservations included.", tally.requests),
            ("forbear_deferred", "Decisions that were deferred.", tally.pages_deferred),
            ("forbear_log_failures", "Transactions that the database refused.", self._context.writer.failures),
        ):
            yield CounterMetricFamily(name, what, value)
        decisions = "Decisions by verdict and protocol: one that two protocols decided is counted under each."
        yield _counted("forbear_decisions", decisions, ("verdict", "protocol"), tally.decisions)
        failures = "Exchanges without a complete answer, by the failure's name."
        yield _counted("forbear_errors", failures, ("failure",), Counter({(k,): n for k, n in tally.failures.items()}))
        yield GaugeMetricFamily("forbear_hosts_leased", "Hosts that this worker holds.", tally.hosts)
        urls = GaugeMetricFamily(
            "forbear_frontier_urls", "URLs of the whole crawl by state, estimated from a sample.", labels=("state",)
        )
        for state, number in self._probe.urls.items():
            urls.add_metric((state,), number)
        yield urls


def _counted(name: str, what: str, labels: tuple[str, ...], counts: Counter[tuple[str, ...]]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, what, labels=labels)
    for values, number in list(counts.items()):
        family.add_metric(values, number)
    return family


class Monitor:
    """The port of a worker: it answers from the start of the program to its end."""

    def __init__(self, host: str, port: int, engine: Engine) -> None:
        """Raises BadConfig if the port cannot be opened."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._batches = Histogram(
            "forbear_log_batch_seconds",
            "What a transaction of the log took.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._metrics = make_wsgi_app(self._registry)
        self._context: Context | None = None
        self._probe = Probe(engine)
        kind = type("Server", (ThreadingWSGIServer,), {"address_family": _family(host)})
        try:
            self._server: WSGIServer = make_server(host, port, self._answer, kind, _Silent)
        except OSError as error:
            raise BadConfig(f"--metrics-port {port} cannot be opened on {host}: {_why(error)}.") from None
        self.address = f"{host}:{self._server.server_port}"

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Serves within the ``with`` block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="forbear-metrics", daemon=True)
        thread.start()
        self._probe.start()
        about = {"address": self.address}
        logger.info("Metrics are at http://%s/metrics", self.address, extra={"event": "listening", "about": about})
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
            self._probe.close()

    def observe(self, seconds: float) -> None:
        """Counts a transaction of the log."""
        self._batches.observe(seconds)

    def show(self, context: Context) -> None:
        """Serves the figures of this crawl from now on."""
        self._context = context
        self._probe.crawl = context.crawl
        self._registry.register(Figures(context, self._probe))

    def complaint(self) -> str | None:
        """Returns what is wrong with this worker or its database, in a sentence; None if it is healthy."""
        beat = self._context.heartbeat if self._context else None  # None while it starts and ends
        if beat is not None and (still := monotonic() - beat) > SILENCE_SECONDS:
            return f"This worker has not moved for {still:.0f} seconds."
        return self._probe.complaint()

    def _answer(self, environ: Any, start: Any) -> Any:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            return self._metrics(environ, start)
        if path == "/health":
            complaint = self.complaint()
            status = "503 Service Unavailable" if complaint else "200 OK"
            sentence = complaint or "This worker is alive and its database answers."
        else:
            status, sentence = "404 Not Found", "There are /metrics and /health."
        start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
        return [f"{sentence}\n".encode()]


class _Silent(WSGIRequestHandler):
    """A request handler that logs nothing: standard error is for what people should read."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class names it so
        """Logs nothing."""


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _why(error: OSError) -> str:
    return "another program uses it" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
