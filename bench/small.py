"""``python -m bench rules worst log``: single parts against tools that do the same without quotation or record."""

from __future__ import annotations

import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

from protego import Protego

from bench import writer
from bench.figures import Figure, amounts, ratios
from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.host_rules import HostRules, Hosts
from forbear.optout.model import Capture, Question

ROUNDS = 5
SITE = "https://docs.example"
AGENT = "ForbearBot"


def _robots(octets: int, rules: int) -> bytes:
    """Makes a robots.txt of ordinary rules, of at least this size and with more than this many rules."""
    chance = random.Random(rules)
    lines, size = [b"User-agent: *"], 0
    while size < octets or len(lines) <= rules:
        path = "/".join(chance.choice(("news", "shop", "archive", "search", "tag", "print")) for _ in range(3))
        ending = chance.choice(("", "/*.pdf$", "/*?sort=", "/"))
        lines.append(f"Disallow: /{path}/{chance.randrange(10**6)}{ending}".encode())
        size += len(lines[-1]) + 1
    return b"\n".join(lines)[:524_288]


def _known(origin: str, body: bytes) -> Captures:
    headers = (("Content-Type", "text/plain"),)
    return Captures([Capture(f"{origin}/robots.txt", 200, headers, body)], complete=True)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def rules(quick: bool) -> list[Figure]:
    """Compares decisions with their quotations, from host rules in memory, with Protego; every URL is new."""
    found = []
    law = policy.load()
    for name, body, goal, number in (
        ("20 rules", _robots(0, 20), 0.8, 20_000),
        ("500 kB of rules", _robots(500_000, 0), 50, 20 if quick else 100),
    ):
        known, protego = _known(SITE, body), Protego.parse(body.decode())
        host = HostRules(Question(SITE, AGENT), known, law)
        times = []
        for turn in range(ROUNDS + 1):
            urls = _urls(SITE, number, turn)
            ours, theirs = _each(host.decide, urls), _each(partial(protego.can_fetch, user_agent=AGENT), urls)
            times.append(theirs / ours)
        found.append(ratios(f"decision from host rules in memory against Protego, {name}", times[1:], goal))
        hosts = Hosts(lambda _, known=known: known, law, agent=AGENT)  # type: ignore[misc]
        found.append(_table(f"URLs of a table decided about, {name}", hosts, _urls(SITE, 100_000, 0)))
    return [*found, *_real(law)]


def _real(law: policy.Policy) -> list[Figure]:
    """Compares the same with the real robots.txt files of tests/corpus; the first round warms up and does not count."""
    with gzip.open(Path(__file__).parents[1] / "tests/corpus/robots.jsonl.gz", "rt", encoding="utf-8") as lines:
        files = [json.loads(line) for line in lines]
    bodies = {f"https://{one['host']}": one["body"].encode() for one in files if "body" in one}
    known = {origin: _known(origin, body) for origin, body in bodies.items()}
    rules = {origin: HostRules(Question(origin, AGENT), known[origin], law) for origin in bodies}
    others = {origin: Protego.parse(body.decode()) for origin, body in bodies.items()}
    times = []
    for turn in range(ROUNDS + 1):
        ours = theirs = 0.0
        for origin in bodies:
            urls = _urls(origin, 50, turn)
            ours += _each(rules[origin].decide, urls)
            theirs += _each(partial(others[origin].can_fetch, user_agent=AGENT), urls)
        times.append(theirs / ours)
    name = f"{len(bodies):,} real robots.txt"
    hosts = Hosts(known.__getitem__, law, agent=AGENT)
    return [
        ratios(f"decision from host rules in memory against Protego, {name}", times[1:]),
        _table(f"URLs of a table decided about, {name}", hosts, [u for origin in bodies for u in _urls(origin, 50, 0)]),
    ]


def _urls(origin: str, number: int, turn: int) -> list[str]:
    return [f"{origin}/{('news', 'products', 'a/b')[i % 3]}/{turn}/page-{i}.html" for i in range(number)]


def _each(ask: Callable[[str], object], urls: list[str]) -> float:
    def work() -> None:
        for url in urls:
            ask(url)

    return _seconds(work)


def _table(name: str, hosts: Hosts, urls: list[str]) -> Figure:
    hosts.decide_all(urls)  # reads the rules
    speed = [len(urls) / _seconds(lambda: hosts.decide_all(urls)) for _ in range(ROUNDS)]
    return amounts(name, speed, "a second and core", "≥ 200,000")


def worst(_: bool) -> list[Figure]:
    """Measures robots.txt files made to be costly, read and used once: time, and additional memory."""
    bombs = {
        "groups": b"".join(b"User-agent: a%d\nDisallow: /%d\n" % (i, i) for i in range(20_000)),
        "wildcards": b"User-agent: *\n" + b"".join(b"Disallow: /" + b"*a" * 200 + b"%d\n" % i for i in range(1_200)),
        "rules": _robots(524_288, 0),
    }
    found = []
    for name, bomb in bombs.items():
        body = bomb[:524_288]

        def decide_once(body: bytes = body) -> None:
            decide(Question(f"{SITE}/" + "a" * 2_000, AGENT), _known(SITE, body), policy.load())

        spent = [1000 * _seconds(decide_once) for _ in range(ROUNDS)]
        tracemalloc.start()
        decide_once()
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        found.append(amounts(f"worst robots.txt, {name}: read and asked once", spent, "ms", "≤ 250 ms"))
        found.append(Figure(f"worst robots.txt, {name}: memory", f"{peak:.1f} MiB", "", "≤ 32 MiB"))
    return found


def log(quick: bool) -> list[Figure]:
    """Measures ``forbear lookup`` on a log."""
    number = 2_000 if quick else 40_000
    with tempfile.TemporaryDirectory() as folder:
        writer.write_log(folder, number, writer.FULL)
        times = [_lookup_time(folder) for _ in range(ROUNDS)]
    name = f"forbear lookup on {number:,} decisions, whole command, processor time"
    return [amounts(name, times, "ms", "< 400 ms on 10 M")]


def _lookup_time(folder: str) -> float:
    """Returns processor time in milliseconds, from the start of Python to its end."""
    command = [sys.executable, "-m", "forbear", "lookup", "host1.example", "--db", f"sqlite:///{folder}/log.db"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
