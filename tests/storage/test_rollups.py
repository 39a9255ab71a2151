from __future__ import annotations

from datetime import timedelta

from forbear.optout.model import Stage, Verdict
from forbear.storage.log import rollups
from forbear.storage.log.rollups import Figure
from tests.storage.conftest import AT


def fill(make, write) -> None:
    kept = make.decided("https://www.a.example/1", stage=Stage.PAGE)
    later = make.decided("https://a.example/no/2", Verdict.EXCLUDED, at=AT + timedelta(days=1))
    write(
        kept,
        make.kept(kept, at=AT),
        make.decided("https://a.example/no/1", Verdict.EXCLUDED),
        later,
        make.decided("https://b.example/", Verdict.DEFERRED, protocol="unreachable", quote="503"),
    )
    write(make.decided("https://b.example/x", Verdict.EXCLUDED, protocol="tdmrep", measure="1.3(1)(b)"))


def test_totals_are_in_step_with_the_log(engine, make, write):
    fill(make, write)
    with engine.connect() as connection:
        assert rollups.over_time(connection, "protocol") == Figure(
            ("robots", "tdmrep"), (("2026-03-01", (1, 1)), ("2026-03-02", (1, 0)))
        )
        assert rollups.over_time(connection, "measure").labels == ("1.3(1)(a)", "1.3(1)(b)")
        assert rollups.deferred(connection) == Figure(("decisions",), (("503", (1,)),))
        assert rollups.heaviest(connection) == Figure(("bytes",), (("a.example", (9,)),))
        assert rollups.adoption(connection) == Figure(
            ("disallow",), (("robots", (2,)), ("tdmrep", (1,)), ("unreachable", (1,)))
        )
        [(_, numbers)] = rollups.by_crawl(connection).rows
        assert numbers == (3, 1, 1)
        assert rollups.changes(connection) == Figure(("newest",), (("robots", (2,)), ("tdmrep", (1,))))


def test_a_host_counts_once_however_often_it_speaks(engine, make, write):
    for _ in range(2):
        write(*(make.decided(f"https://a.example/no/{n}", Verdict.EXCLUDED) for n in range(3)))
    with engine.connect() as connection:
        assert rollups.adoption(connection).rows == (("robots", (1,)),)


def test_many_series_are_summed_up_and_many_days_are_months(engine, make, write):
    write(
        *(
            make.decided(f"https://a.example/{n}", Verdict.EXCLUDED, at=AT + timedelta(days=n), protocol=f"p{n % 10}")
            for n in range(70)
        )
    )
    with engine.connect() as connection:
        figure = rollups.over_time(connection, "protocol")
    assert figure.labels == ("p0", "p1", "p2", "p3", "p4", "p5", "p6", "other")
    assert [heading for heading, _ in figure.rows] == ["2026-03", "2026-04", "2026-05"]
    assert sum(sum(numbers) for _, numbers in figure.rows) == 70
