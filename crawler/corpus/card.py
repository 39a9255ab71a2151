"""Describes a corpus for machines and for people: Croissant 1.1 with PROV-O and ODRL, and a card in Markdown.

Everything comes from the manifest of a version and from the log. What neither can know is marked as open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forbear.crawler.corpus import versions
from forbear.crawler.corpus.table import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from forbear.crawler.corpus.versions import Version
    from forbear.storage.reads.provenance import CrawlOf, SitePolicy

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
OPEN = "*Nobody has said.*"
TOP = 10
"""The most domains that the card names."""

_CROISSANT = (
    "annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes", "extract",
    "field", "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath",
    "key", "md5", "parentField", "path", "readLines", "recordSet", "references", "regex", "repeated", "replace",
    "samplingRate", "sdVersion", "separator", "source", "subField", "transform", "unArchive", "value",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in _CROISSANT},
}
"""Appendix 1 of Croissant 1.1, with PROV-O and ODRL."""

_TYPES = {"string": "sc:Text", "large_string": "sc:Text", "int16": "sc:Integer", "int64": "sc:Integer"}
_RIGHTS = (
    "No licence is granted with this data set: the rights in each page stay with their holders. The pages were "
    "collected for the use named below if no machine-readable reservation excluded it. A recheck finds later "
    "reservations, and removes those pages from the next version."
)


@dataclass(frozen=True, slots=True)
class About:
    """What only the operator can state; None where it is left open."""

    name: str
    url: str
    creator: str | None = None
    license: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What the log knows about a version: its crawls, policies that sites name, and the number of removed pages."""

    crawls: Sequence[CrawlOf]
    policies: Sequence[SitePolicy]
    removed: int


def croissant(version: Version, about: About, origin: Origin) -> dict[str, Any]:
    """Returns the description as JSON-LD (Croissant 1.1), for the folder of the corpus."""
    content = version.content
    use = content["use"]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": about.name,
        "description": _description(version),
        "url": about.url,
        "version": f"{version.number}.0.0",
        "datePublished": content["created_at"],
        "dateCreated": content["created_at"],
        "creator": {"@type": "sc:Organization", "name": about.creator or content["agent"], "url": about.url},
        "license": about.license or _RIGHTS,
        "citeAs": f"{about.creator or content['agent']}, {about.name}, version {version.number}, {about.url}",
        "isLiveDataset": False,
        "usageInfo": [
            {
                "@type": ["sc:CreativeWork", "odrl:Policy"],
                "name": f"Collected for {use}",
                "description": _RIGHTS,
                "odrl:permission": {
                    "@type": "odrl:Permission",
                    "odrl:action": {"@id": "odrl:use"},
                    "odrl:constraint": {
                        "@type": "odrl:Constraint",
                        "odrl:leftOperand": {"@id": "odrl:purpose"},
                        "odrl:operator": {"@id": "odrl:eq"},
                        "odrl:rightOperand": use,
                    },
                },
            },
            *map(_policy, origin.policies),
        ],
        "prov:wasGeneratedBy": list(map(_activity, origin.crawls)),
        "prov:wasAttributedTo": {"@type": "prov:SoftwareAgent", "prov:label": content["software"]},
        **_revised(version),
        "distribution": [*map(_file, content["files"]), _TABLES],
        "recordSet": [_records()],
    }


def _description(version: Version) -> str:
    counts, content = version.content["counts"], version.content
    return (
        f"Version {version.number} of a web corpus: {counts['pages']:,} pages of {counts['domains']:,} registrable "
        f"domains, {counts['bytes']:,} bytes, collected for {content['use']} by {content['agent']} with "
        f"{content['software']}. What was reserved in a machine-readable way was left out (profile "
        f"{content['profile']}, policy {content['policy']}); the log of the decisions had {content['log']['size']:,} "
        f"leaves with root {content['log']['root']} when the version was made."
    )


def _policy(policy: SitePolicy) -> dict[str, Any]:
    """Links to a policy elsewhere instead of paraphrasing it."""
    return {
        "@type": ["sc:CreativeWork", "odrl:Policy"],
        "name": f"TDM policy of {policy.host}",
        "url": policy.url,
        "description": f"Named in {policy.source}, {policy.place} (TDMRep 5.2); {policy.pages:,} pages here.",
        "odrl:target": {"@type": "odrl:AssetCollection", "odrl:source": policy.host},
    }


def _activity(crawl: CrawlOf) -> dict[str, Any]:
    ended = {"prov:endedAtTime": crawl.finished_at.isoformat()} if crawl.finished_at else {}
    return {
        "@type": "prov:Activity",
        "@id": f"urn:uuid:{crawl.id}",
        "prov:label": f"Web crawl as {crawl.user_agent}",
        "prov:startedAtTime": crawl.started_at.isoformat(),
        **ended,
        "prov:wasAssociatedWith": {"@type": "prov:Agent", "prov:label": crawl.contact},
        "prov:used": {"@type": "prov:Plan", "@id": f"urn:sha256:{crawl.policy}", "prov:label": "policy of decisions"},
    }


def _revised(version: Version) -> dict[str, Any]:
    previous = version.content["previous"]
    return {"prov:wasRevisionOf": {"@id": f"urn:sha256:{previous['sha256']}"}} if previous else {}


def _file(entry: dict[str, Any]) -> dict[str, Any]:
    warc = entry["path"].endswith(".warc.gz")
    return {
        "@type": "cr:FileObject",
        "@id": entry["path"],
        "name": entry["path"].rpartition("/")[2],
        "contentUrl": entry["path"],
        "contentSize": f"{entry['bytes']} B",
        "encodingFormat": "application/warc" if warc else "application/x-parquet",
        "sha256": entry["sha256"],
    }


_TABLES = {
    "@type": "cr:FileSet",
    "@id": "tables",
    "name": "tables",
    "description": "The text and the metadata of the pages, a table beside each WARC file.",
    "encodingFormat": "application/x-parquet",
    "includes": "pages/*.parquet",
}


def _records() -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"pages/{field.name}",
            "name": field.name,
            "description": (field.metadata or {}).get(b"description", b"").decode(),
            "dataType": "sc:DateTime" if field.name == "time" else _TYPES[str(field.type)],
            "source": {"fileSet": {"@id": "tables"}, "extract": {"column": field.name}},
        }
        for field in SCHEMA
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "pages",
        "name": "pages",
        "key": {"@id": "pages/decision_id"},
        "field": fields,
    }


def markdown(out: Path, version: Version, about: About, origin: Origin) -> str:
    """Returns the card in Markdown."""
    return "\n".join(_lines(out, version, about, origin)) + "\n"


def _lines(out: Path, version: Version, about: About, origin: Origin) -> Iterator[str]:
    content, counts = version.content, version.content["counts"]
    domains: Counter[str] = Counter()
    for rows in versions.pages(out, version, ["domain"]):
        domains.update(rows["domain"].to_pylist())
    yield from (f"# {about.name}, version {version.number}", "")
    yield from (_description(version), "")
    yield from ("## What is in it", "", "| | |", "| --- | --- |")
    yield from (
        f"| pages | {counts['pages']:,} |",
        f"| domains | {counts['domains']:,} |",
        f"| bytes | {counts['bytes']:,} |",
    )
    yield from (f"| of type {name or 'unknown'} | {count:,} |" for name, count in counts["media_types"].items())
    yield from ("", "The most pages are from:", "", "| domain | pages |", "| --- | --- |")
    yield from (f"| {name} | {count:,} |" for name, count in domains.most_common(TOP))
    yield from ("", "## Where it comes from", "")
    yield from (
        "| crawl | from | to | as | pages here | URLs excluded | deferred |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    )
    for crawl in origin.crawls:
        ended = f"{crawl.finished_at:%Y-%m-%d %H:%M}Z" if crawl.finished_at else "still running"
        yield (
            f"| {crawl.id} | {crawl.started_at:%Y-%m-%d %H:%M}Z | {ended} | `{crawl.user_agent}` | {crawl.pages:,} "
            f"| {crawl.excluded:,} | {crawl.deferred:,} |"
        )
    yield from ("", "## Rights", "", about.license or _RIGHTS, "")
    yield f"{origin.removed:,} pages have left these files since they were kept, each with a tombstone in the log."
    if origin.policies:
        yield from ("", "Sites of these pages name policies of theirs (TDMRep 5.2):", "")
        yield from ("| host | policy | named in | pages |", "| --- | --- | --- | --- |")
        yield from (f"| {p.host} | {p.url} | {p.source}, {p.place} | {p.pages:,} |" for p in origin.policies)
    yield from ("", "## What only the operator can say", "", "| | |", "| --- | --- |")
    yield f"| who made it | {about.creator or OPEN} |"
    for question in (
        "personal data in it, and what was done about that",
        "known gaps and biases",
        "what it must not be used for",
    ):
        yield f"| {question} | {OPEN} |"
    yield from ("", "## How to check it", "")
    yield f"    forbear corpus verify {version.number} --out FOLDER    # every file against its digest"
    yield f"    forbear log --crawl {content['crawl']}    # every decision, in whose words"
