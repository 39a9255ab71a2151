"""``forbear export``: writes host rules from the log to a file that other tools can read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from forbear.crawler.corpus.export import export_hosts
from forbear.crawler.identity import BadConfig
from forbear.scripts import options, show


@click.group(cls=options.Group)
def command() -> None:
    """Write host rules from the log to a file.

    \b
    Example:
      forbear export hosts -o hosts.parquet
    """


@command.command("hosts")
@options.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Write this Parquet file; an existing one is replaced.",
)
@options.db
@options.evidence
@options.policy
@options.operator_list
@options.infringing_list
@options.as_json
def hosts(
    output: Path,
    db: str,
    evidence: str | None,
    policy: Path | None,
    operator_list: Path | None,
    infringing_list: Path | None,
    as_json: bool,
) -> None:
    """Write a snapshot of host rules: what each host answered last, which decides about its URLs.

    `forbear filter --snapshot`, the datatrove step and the DuckDB functions decide from it like a crawl, without
    database or network. It includes the policy and the lists in force.

    \b
    Example:
      forbear export hosts -o hosts.parquet
      forbear filter table.parquet --snapshot hosts.parquet --offline --grouped --out filtered
    """
    try:
        about = export_hosts(
            db,
            output,
            policy=policy,
            operator_list=operator_list,
            infringing_list=infringing_list,
            evidence=evidence,
        )
    except BadConfig as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps(asdict(about) | {"file": str(output)}))
    else:
        answers, hosts = show.count(about.answers, "answer"), show.count(about.hosts, "host")
        show.line(f"{output}: {answers} of {hosts}, policy {about.policy[:12]}…")
        show.line(f"Taken from the first {show.count(about.log_size, 'row')} of the log, root {about.log_root[:12]}….")
