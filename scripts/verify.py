"""``forbear verify``: proves that no row of the log was edited, removed or cut off, or names those that were."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
from cryptography.x509 import Certificate, load_pem_x509_certificates

from forbear.scripts import options, show
from forbear.scripts.key import key_of
from forbear.storage.database import open_database, reading, translated
from forbear.storage.proof import recount
from forbear.storage.proof.recount import Difference
from forbear.storage.proof.verify import Finding, KnownCheckpoint, Report, verify

CHANGED = 1


@click.command()
@options.option(
    "--key", "names", multiple=True, metavar="KEY", help="The key that signed: NAME+ID+BASE64, or a file with it."
)
@options.option(
    "--checkpoint",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint that was kept outside of the database. Can be repeated.",
)
@options.option(
    "--tsa-certificate",
    "certificates",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Root certificate (PEM) of the authority whose timestamps count. Can be repeated.",
)
@options.option("--sums", is_flag=True, help="Count the sums over the log again too, by which look-ups are answered.")
@options.evidence
@options.db
@options.as_json
def command(
    names: tuple[str, ...],
    files: tuple[Path, ...],
    certificates: tuple[Path, ...],
    sums: bool,
    evidence: str | None,
    db: str,
    as_json: bool,
) -> int:
    """Read the whole log, and name every row and capture that is not as it was written.

    Found are rows that were edited, deleted, inserted, moved or back-dated, a log that was cut off, and bodies of
    captures without their digest. Somebody who changes the log and makes every hash right again is found by a
    checkpoint: by one that is stored here if they have no key, by one kept elsewhere (--checkpoint) in any case. Exit
    code: 0 nothing was changed, 1 something was.

    --json prints a line for each finding, and a last one that sums up.

    \b
    Example:
      forbear verify --key example.org/forbear+1234abcd+AX… --checkpoint /media/stick/checkpoint-000000000306.txt
    """
    keys_ = [key_of(name) for name in names]
    outside = [KnownCheckpoint(str(file), _text(file)) for file in files]
    roots = [root for file in certificates for root in _certificates(file)]
    report, found = Report(), 0
    engine = open_database(db, create=False, evidence=evidence)
    try:
        with translated(engine.url), reading(engine) as connection:
            findings = verify(connection, report, keys=keys_, outside=outside, roots=roots)
            for finding in findings:
                found += 1
                _tell(finding, as_json)
            for differs in recount.differences(connection) if sums else ():
                found += 1
                _tell(_as_finding(differs), as_json)
    finally:
        engine.dispose()
    if as_json:
        sys.stdout.write(show.json_line({"summary": {**asdict(report), "findings": found, "signatures": bool(keys_)}}))
    else:
        _sum(report, found, bool(keys_))
    return CHANGED if found else 0


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is no checkpoint, but something else than text.") from None


def _certificates(file: Path) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(file.read_bytes())
    except ValueError:
        raise click.UsageError(f"{file} holds no certificate in PEM.") from None


def _tell(finding: Finding, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(show.json_line(finding._asdict()))
        return
    where = "" if finding.position is None else f" (position {finding.position})"
    show.line(f"{finding.change:<10}  {finding.kind} {finding.ref}{where}: {finding.detail}")


def _as_finding(differs: Difference) -> Finding:
    row = ", ".join(map(str, differs.row))
    if differs.missing:
        return Finding("deleted", "sum", differs.table, None, f"the log adds up to a row that is not there ({row})")
    return Finding("edited", "sum", differs.table, None, f"the log does not add up to this row ({row})")


def _sum(report: Report, found: int, signatures: bool) -> None:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.rows.items()))
    show.line(f"Read {sum(report.rows.values()):,} rows ({kinds}) and {report.bodies:,} bodies.")
    show.line(f"Root of the first {report.size:,} rows: {report.root}")
    for place in report.checkpoints:
        show.line(f"It agrees with {place}.")
    if report.timestamps:
        show.line(f"{report.timestamps:,} checkpoints carry the timestamp of an authority.")
    if report.checkpoints and not signatures:
        show.line("Who signed the checkpoints was not looked at: name the key with --key.")
    if not report.checkpoints:
        show.line("No checkpoint vouches for it: whoever can change every hash could have changed it.")
    show.line(f"{found:,} findings: the log was changed." if found else "Nothing was changed.")
