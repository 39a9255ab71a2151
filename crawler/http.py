"""What the two ways to speak HTTP share, that of a crawl and that of a single question (RFC 9110, decide.md)."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, NamedTuple

from crawler.decoding import Undecodable
from crawler.network import causes
from optout.model import Failure
from optout.readers.text import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def received(fields: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """The header fields as they came, in order, as ``model.Capture`` has them."""
    return tuple((readable(name), readable(value)) for name, value in fields)


class Name(NamedTuple):
    """What exceptions of a kind are called in decide.md, if ``words`` stand in their message."""

    kind: type[BaseException]
    failure: Failure
    words: str = ""


_EXACT = (
    Name(socket.gaierror, Failure.DNS),
    Name(ssl.SSLError, Failure.TLS),
    Name(TimeoutError, Failure.TIMEOUT),
    Name(ConnectionRefusedError, Failure.REFUSED),
    Name(ConnectionError, Failure.RESET),
)


def failure(exception: BaseException, exact: Sequence[Name] = (), vague: Sequence[Name] = ()) -> Failure:
    """What the failure of a request is called in decide.md: the outermost cause that says it exactly, else vaguely.

    ``exact`` and ``vague`` are what a library adds, the first that fits counting. What nobody knows is ``protocol``:
    there is no answer that can be used. ``network.explain`` has the sentence to it.
    """
    for names in ((*exact, *_EXACT), vague):
        for cause in causes(exception):
            if isinstance(cause, Undecodable):
                return cause.failure
            for name in names:
                if isinstance(cause, name.kind) and name.words in str(cause):
                    return name.failure
    return Failure.PROTOCOL
