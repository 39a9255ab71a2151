"""The datatrove step: in real pipelines, killed and started again, on WARC files that a crawl wrote."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import dill
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document
from datatrove.executor import SlurmPipelineExecutor
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter

from forbear.batch.snapshot import BadSnapshot
from forbear.batch.trove import RightsFilter
from tests.batch.hosts import AT, answered, asked_of, write
from tests.batch.pipeline import TASKS, main
from tests.crawler.crawls import until

ROBOTS = "User-agent: *\nDisallow: /no\n"
VERDICTS = {
    "https://a.example/yes/{}": "allowed",
    "https://a.example/no/{}": "excluded",
    "https://unknown.example/{}": "deferred",
    "gopher://a.example/{}": "unusable",
}


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    said = asked_of("https://a.example/", answered("https://a.example/robots.txt", ROBOTS))
    return write(tmp_path / "hosts.parquet", said)


def documents(count: int, prefix: str = "") -> list[Document]:
    urls = [template.format(number) for number in range(count) for template in VERDICTS]
    return [
        Document(text=f"text {url}", id=f"{prefix}{number}", metadata={"url": url}) for number, url in enumerate(urls)
    ]


def begin(folder: Path, *, stops: bool) -> multiprocessing.Process:
    """The pipeline in a process of its own, which has the libraries loaded already."""
    process = multiprocessing.get_context("fork").Process(target=run, args=(folder,), kwargs={"stops": stops})
    process.start()
    return process  # type: ignore[return-value]


def run(folder: Path, *, stops: bool) -> None:
    os.setsid()
    told = os.open(folder / "told", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for number in (1, 2):
        os.dup2(told, number)
    main(folder, stops=stops)


def test_killed_in_a_task_it_goes_on_and_nothing_is_lost_or_doubled(tmp_path: Path, hosts: Path) -> None:
    (tmp_path / "in").mkdir()
    given = []
    for task in range(TASKS):
        some = documents(50, f"{task}-")
        given += some
        rows = [{"id": each.id, "url": each.metadata["url"], "text": each.text} for each in some]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / f"{task}.parquet")
    process = begin(tmp_path, stops=True)
    until(lambda: (tmp_path / "halted").exists() or not process.is_alive())
    assert process.pid
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL, (tmp_path / "told").read_text()
    assert len(list((tmp_path / "logs" / "completions").iterdir())) == 2
    again = begin(tmp_path, stops=False)
    again.join()
    assert again.exitcode == 0, (tmp_path / "told").read_text()
    kept = Counter(pq.read_table(tmp_path / "kept")["id"].to_pylist())
    dropped = pq.read_table(tmp_path / "reasons")
    assert kept == Counter(each.id for each in given if "/yes/" in each.metadata["url"])
    expected = {each.id: each.metadata["url"] for each in given if "/yes/" not in each.metadata["url"]}
    assert Counter(dropped["id"].to_pylist()) == Counter(list(expected))
    assert dropped.schema.names == ["id", "url", "verdict", "reasons"], "and no text"
    for row in dropped.to_pylist():
        assert row["url"] == expected[row["id"]]
        quotes = {each["quote"] for each in json.loads(row["reasons"])}
        assert (row["verdict"], quotes) in (
            ("excluded", {"Disallow: /no"}),
            ("deferred", {"unasked"}),
            ("unusable", set()),
        )
    stats = json.loads((tmp_path / "logs" / "stats.json").read_text())
    [counts] = [each["stats"] for each in stats if "Rights" in each["name"]]
    tasks = TASKS - 2
    assert counts["verdict_allowed"] == 50 * tasks
    assert counts["protocol_robots"] == 50 * tasks
    assert counts["dropped_deferred"] == 50 * tasks


def test_slurm_runs_it_as_it_was_pickled(tmp_path: Path, hosts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's script is not run here, since there is no Slurm; what it calls is, once for each task of the array."""
    (tmp_path / "in").mkdir()
    for task in range(2):
        rows = [{"id": each.id, "url": each.metadata["url"], "text": each.text} for each in documents(5, f"{task}-")]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / f"{task}.parquet")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, says in {"sbatch": "Submitted batch job 7", "scontrol": "node"}.items():
        (programs / name).write_text(f"#!/bin/sh\necho {says}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    steps = [
        ParquetReader(str(tmp_path / "in")),
        RightsFilter(str(hosts), reasons=str(tmp_path / "reasons"), at=AT),
        ParquetWriter(str(tmp_path / "kept")),
    ]
    SlurmPipelineExecutor(steps, tasks=2, time="1:00:00", partition="any", logging_dir=str(tmp_path / "logs")).run()

    def work(task: int) -> None:
        os.environ |= {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_NODELIST": "node"}
        dill.loads((tmp_path / "logs" / "executor.pik").read_bytes()).run()

    for task in range(2):
        process = multiprocessing.get_context("fork").Process(target=work, args=(task,))
        process.start()
        process.join()
        assert process.exitcode == 0
    kept = Counter(pq.read_table(tmp_path / "kept")["id"].to_pylist())
    assert kept == Counter(f"{task}-{4 * number}" for task in range(2) for number in range(5))
    assert pq.read_table(tmp_path / "reasons").num_rows == 30


def test_it_goes_to_a_worker_and_opens_its_snapshot_there(tmp_path: Path, hosts: Path) -> None:
    step = RightsFilter(str(hosts), exclusion_writer=ParquetWriter(str(tmp_path / "dropped")), at=AT)
    first = [each.metadata["url"] for each in step.run(documents(3))]
    assert first == [f"https://a.example/yes/{number}" for number in range(3)]
    step.filter(documents(1)[0])
    there = dill.loads(dill.dumps(step))
    assert [each.metadata["url"] for each in there.run(documents(3), rank=1)] == first
    whole = pq.read_table(tmp_path / "dropped").to_pylist()
    assert {row["metadata"]["verdict"] for row in whole} == {"excluded", "deferred", "unusable"}
    assert all(row["text"] for row in whole), "a writer that is given gets whole documents"


def test_the_markup_of_a_page_counts_where_it_is_the_text(hosts: Path) -> None:
    page = Document(
        text='<meta name="robots" content="noai"><p>words', id="1", metadata={"source": "https://a.example/p"}
    )
    given: dict[str, Any] = {"at": AT, "url_key": "source"}
    assert list(RightsFilter(str(hosts), **given).run([page])) == [page]
    assert list(RightsFilter(str(hosts), markup=True, **given).run([page])) == []
    assert page.metadata["verdict"] == "excluded"
    assert json.loads(page.metadata["reasons"])[0]["protocol"] == "robots-meta"


def test_what_cannot_work_is_reported_before_it_starts(tmp_path: Path, hosts: Path) -> None:
    with pytest.raises(ValueError, match="'train'"):
        RightsFilter(str(hosts), use="train")
    with pytest.raises(ValueError, match="Give reasons or an exclusion_writer"):
        RightsFilter(str(hosts), reasons="a", exclusion_writer=ParquetWriter(str(tmp_path / "b")))
    hosts.write_bytes(b"no")
    with pytest.raises(BadSnapshot):
        list(RightsFilter(str(hosts)).run(documents(1)))
