"""``forbear export``: what the log knows, as a file for others to work with."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from forbear.crawler.corpus.export import export_hosts
from forbear.crawler.identity import BadConfig
from forbear.scripts import options, show

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Write what the log knows to a file.

    \b
    Example: forbear export hosts -o hosts.parquet
    """


@command.command("hosts")
@options.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The Parquet file to write; one that is there is replaced.",
)
@options.db
@options.evidence
@options.policy
@options.option("--operator-list", type=_FILE, help="CSV file of your own blocks and of licences you hold.")
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
    """Write a snapshot of host rules: what each host answered last, by which its URLs can be decided about.

    It takes neither database nor network to read: `forbear filter --snapshot`, the datatrove step and the DuckDB path
    decide from it as a crawl would. The policy and the lists in force go with it.

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
        show.line(f"{output}: {about.answers:,} answers of {about.hosts:,} hosts, by policy {about.policy[:12]}…")
        show.line(f"The log has {about.log_size:,} rows at this moment; root {about.log_root[:12]}….")
