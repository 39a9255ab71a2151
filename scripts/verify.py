"""``forbear verify``: proves that no row of the log was edited, removed or cut off, or names the rows that were."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
from cryptography.x509 import Certificate, load_pem_x509_certificates

from forbear.scripts import options, show
from forbear.scripts.database import open_engine
from forbear.scripts.key import key_of
from forbear.storage.database import reading
from forbear.storage.proof import recount
from forbear.storage.proof.recount import Difference
from forbear.storage.proof.verify import Finding, KnownCheckpoint, Report, verify

CHANGED = 1


@click.command()
@options.option(
    "--key",
    "names",
    multiple=True,
    metavar="KEY",
    help="Key that signed the checkpoints, as NAME+ID+BASE64 or in a file. Can be repeated.",
)
@options.option(
    "--checkpoint",
    "files",
    multiple=True,
    type=options.existing_file,
    help="Compare with this checkpoint, which was kept outside the database. Can be repeated.",
)
@options.option(
    "--tsa-certificate",
    "certificates",
    multiple=True,
    type=options.existing_file,
    help="Trust timestamps of the authority with this root certificate (PEM). Can be repeated.",
)
@options.option("--sums", is_flag=True, help="Also recount the sums that answer `forbear lookup`.")
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
    """Read the whole log, and name every row and capture that was changed since it was written.

    Finds rows that were edited, deleted, inserted, moved or back-dated, a log that was cut off, and captures whose body
    does not match its digest. If someone changed rows and recomputed every hash, a checkpoint reveals it: a stored one
    if they did not have the key, one kept elsewhere (--checkpoint) in any case. Exit code: 0 nothing was changed, 1
    something was.

    --json prints a line for each finding, and a last line with the summary.

    \b
    Example:
      forbear verify --key example.org/forbear+1234abcd+AX… --checkpoint /media/stick/checkpoint-000000000306.txt
    """
    keys_ = [key_of(name) for name in names]
    outside = [KnownCheckpoint(str(file), _text(file)) for file in files]
    roots = [root for file in certificates for root in _certificates(file)]
    report, found = Report(), 0
    with open_engine(db, evidence=evidence) as engine, reading(engine) as connection:
        for finding in verify(connection, report, keys=keys_, outside=outside, roots=roots):
            found += 1
            _print_finding(finding, as_json)
        for differs in recount.differences(connection) if sums else ():
            found += 1
            _print_finding(_as_finding(differs), as_json)
    if as_json:
        sys.stdout.write(show.json_line({"summary": {**asdict(report), "findings": found, "signatures": bool(keys_)}}))
    else:
        _print_summary(report, found, bool(keys_))
    return CHANGED if found else 0


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is not a checkpoint: it is not a text file. Choose another file.") from None


def _certificates(file: Path) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(file.read_bytes())
    except ValueError:
        raise click.UsageError(f"{file} does not contain a certificate in PEM. Choose another file.") from None


def _print_finding(finding: Finding, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(show.json_line(finding._asdict()))
        return
    where = "" if finding.position is None else f" (position {finding.position})"
    show.line(f"{finding.change:<10}  {finding.kind} {finding.ref}{where}: {finding.detail}")


def _as_finding(differs: Difference) -> Finding:
    row = ", ".join(map(str, differs.row))
    if differs.missing:
        return Finding("deleted", "sum", differs.table, None, f"the log adds up to a row that is missing ({row})")
    return Finding("edited", "sum", differs.table, None, f"the log does not add up to this row ({row})")


def _print_summary(report: Report, found: int, signatures: bool) -> None:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.rows.items()))
    rows = show.count(sum(report.rows.values()), "row")
    bodies = "1 body" if report.bodies == 1 else f"{report.bodies:,} bodies"
    show.line(f"Read {rows} ({kinds}) and {bodies}.")
    show.line(f"Root of the first {show.count(report.size, 'row')}: {report.root}")
    for place in report.checkpoints:
        show.line(f"It agrees with {place}.")
    if report.timestamps:
        show.line(f"Checkpoints with an authority's timestamp: {report.timestamps:,}.")
    if report.checkpoints and not signatures:
        show.line("The signatures of the checkpoints were not checked. Add --key with the key that signed them.")
    if not report.checkpoints:
        show.line(
            "There is no checkpoint, so a change with every hash recomputed would not be found. Make one: "
            "forbear checkpoint --key FILE"
        )
    show.line(f"The log was changed: {show.count(found, 'finding')}." if found else "Nothing was changed.")
