"""The settings of a run of ``forbear filter``, and its results: counts, and files of reasons."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from forbear.crawler.crawl.config import Network, Store, Terms, identity
from forbear.crawler.identity import BadConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forbear.crawler.archives.warc_records import Damage

_TEXT = pa.string()
_REASON = pa.struct([(name, _TEXT) for name in ("protocol", "preference", "quote", "source", "where", "measure")])
SENTENCES = 100
"""Messages about the broken records of a file."""
REASONS = pa.schema(
    [
        ("where", _TEXT),
        ("url", _TEXT),
        ("host", _TEXT),
        ("domain", _TEXT),
        ("verdict", _TEXT),
        ("decision", _TEXT),
        ("reasons", pa.list_(_REASON)),
    ]
)
"""What was left out of a file and why; ``verdict`` is excluded, deferred, or unusable without an http(s) URL."""


@dataclass(frozen=True, slots=True)
class FilterConfig:
    """The settings of ``forbear filter``; what is kept is written to the store's folder."""

    store: Store
    terms: Terms
    network: Network
    inputs: tuple[Path, ...] = ()
    kind: str | None = None
    url_column: str | None = None
    offline: bool = False
    snapshot: tuple[Path, ...] = ()
    grouped: bool = False

    def __post_init__(self) -> None:
        """Raises BadConfig, one sentence for a person."""
        if len(self.snapshot) - len(self.archives) > 1:
            raise BadConfig("--snapshot: name one snapshot of hosts; of WARC files there may be several.")
        if self.grouped and not (self.hosts and self.offline and not self.archives):
            raise BadConfig("--grouped needs --offline and one --snapshot, as `forbear export hosts` writes it.")

    @property
    def hosts(self) -> Path | None:
        """The snapshot of hosts, if one is given."""
        return next((path for path in self.snapshot if path.suffix == ".parquet"), None)

    @property
    def archives(self) -> tuple[Path, ...]:
        """The WARC files with snapshots."""
        return tuple(path for path in self.snapshot if path.suffix != ".parquet")

    @property
    def settings(self) -> str:
        """The settings behind a file of reasons as JSON: all but where the data comes from."""
        return json.dumps(self.identity() | {"inputs": [], "snapshot": []}, sort_keys=True)

    def identity(self) -> dict[str, Any]:
        """Returns the settings by which a run is recognised, so that the same command resumes it."""
        every = {**identity(asdict(self)), "command": "filter"}
        every["inputs"] = [str(path.resolve()) for path in self.inputs]
        every["snapshot"] = [str(path.resolve()) for path in self.snapshot]
        return every


@dataclass(slots=True)
class BrokenFile:
    """Damage in a file: how many records, and whether the file is cut off."""

    records: int = 0
    cut: bool = False

    def add(self, damage: Damage) -> None:
        """Counts a record."""
        self.records += 1
        self.cut |= damage.cut


@dataclass(slots=True)
class FilterResult:
    """The results of a run by input: counts by verdict; ``before`` are inputs that an earlier run finished.

    ``broken`` is by file, snapshots among them; ``say`` takes a sentence about each broken record.
    """

    crawl: str = ""
    say: Callable[[str], None] | None = None
    broken: dict[str, BrokenFile] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    protocols: Counter[str] = field(default_factory=Counter)
    before: set[str] = field(default_factory=set)
    requests: int = 0
    began: float = field(default_factory=monotonic)

    def count_request(self) -> None:
        """Counts a request to a host."""
        self.requests += 1

    def note(self, name: str, damage: Damage) -> None:
        """Counts damage in a file, and reports it, up to a limit."""
        broken = self.broken.setdefault(name, BrokenFile())
        broken.add(damage)
        if self.say and broken.records <= SENTENCES:
            self.say(f"{damage}.")
        if self.say and broken.records == SENTENCES:
            self.say(f"{damage.file}: more broken records are counted, and not named here.")

    @property
    def total(self) -> Counter[str]:
        """The sums over all inputs."""
        return sum(self.counts.values(), Counter())

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return monotonic() - self.began


def finished(config: FilterConfig, path: Path, reasons: Path) -> tuple[Counter[str], BrokenFile | None]:
    """Returns the counts by verdict in a complete file of reasons, and the damage in its input.

    Raises BadConfig if other settings made it.
    """
    about = pq.read_metadata(reasons).metadata or {}
    if about.get(b"settings", b"").decode() != config.settings:
        raise BadConfig(f"{config.store.out} has {path.name} filtered with other settings: name another folder.")
    broken = json.loads(about.get(b"broken", b"null"))
    return Counter(json.loads(about[b"counts"])), BrokenFile(**broken) if broken else None
