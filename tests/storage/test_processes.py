from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from sqlalchemy import Engine

from forbear.storage.database import writing
from forbear.storage.db.records import Link
from forbear.storage.frontier import frontier

PAUSE = 0.05
HOSTS, PAGES = 5, 12


def test_two_processes_keep_one_politeness(engine: Engine, make: Any, child: Callable[..., Any]) -> None:
    links = [Link(f"https://h{host}.example/{page}") for host in range(HOSTS) for page in range(PAGES)]
    with writing(engine) as connection:
        frontier.add(connection, make.crawl, links)
    url = engine.url.render_as_string(hide_password=False)
    processes = [child("visit_hosts", url, make.crawl) for _ in "12"]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    visits: dict[str, list[tuple[float, float]]] = {}
    visited = []
    for line in "".join(outputs).splitlines():
        host, page, *times = line.split()
        visits.setdefault(host, []).append((float(times[0]), float(times[1])))
        visited.append(page)
    assert sorted(visited) == sorted(link.url for link in links)
    assert all(outputs), "one process did all the work"
    for host_visits in visits.values():
        for (_, ended), (began, _) in pairwise(sorted(host_visits)):
            assert began - ended >= PAUSE
