"""Converts cases and decisions to and from JSON, as ``forbear decide`` and the conformance vectors have them."""

from __future__ import annotations

import base64
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from forbear.optout.captures import Captures
from forbear.optout.model import Capture, Decision, Failure, Gap, Profile, Question, Reason, Statement, Use
from forbear.optout.protocols import infringing_list, operator
from forbear.optout.readers import url as urls

if TYPE_CHECKING:
    from forbear.optout.policy import Policy

Word = TypeVar("Word", bound=StrEnum)


class BadCase(ValueError):
    """Input that is not a case; the message is a sentence for a person."""


class Case(NamedTuple):
    """A question with the caller's name for it and all that is known."""

    id: str
    question: Question
    captures: Captures


def from_json(case: object) -> Case:
    """Returns the case that a JSON object states; keys that are not known are left alone. Raises BadCase or NotAUrl.

    What is not among the exchanges is known too: a place answered 404, a page was not fetched yet.
    """
    if not isinstance(case, dict):
        raise BadCase("A case is a JSON object")
    name, url = _text(case, "id"), _text(case, "url")
    urls.parse(url)
    known: dict[str, Any] = {}
    if "agent" in case:
        known["agent"] = _text(case, "agent")
    if "use" in case:
        known["use"] = _word(case, "use", Use)
    if "profile" in case:
        known["profile"] = _word(case, "profile", Profile)
    if "at" in case:
        known["at"] = _time(case)
    exchanges = case.get("exchanges", [])
    if not isinstance(exchanges, list):
        raise BadCase("'exchanges' is a list")
    return Case(name, Question(url, **known), Captures(map(_capture, exchanges), complete=True))


def to_json(name: str, url: str, decision: Decision, policy: Policy) -> dict[str, Any]:
    """Returns the JSON object that answers a case: ``name`` and ``url`` as the caller wrote them."""
    return {
        "id": name,
        "url": url,
        "verdict": str(decision.verdict),
        "stage": str(decision.stage),
        "verdicts": {str(profile): str(verdict) for profile, verdict in decision.verdicts.items()},
        "reasons": [reason_to_json(reason) for reason in decision.reasons],
        "statements": [_statement_to_json(statement, policy) for statement in decision.statements],
        "gaps": [_gap_to_json(gap) for gap in decision.gaps],
    }


def reason_to_json(reason: Reason) -> dict[str, str]:
    """Returns a reason, as in a decision and in a row of the log."""
    return {
        "protocol": reason.protocol,
        "preference": str(reason.preference),
        "quote": reason.quote,
        "source": reason.source,
        "where": reason.where,
        "measure": reason.measure,
    }


def _statement_to_json(statement: Statement, policy: Policy) -> dict[str, Any]:
    return {
        "protocol": statement.protocol,
        "preference": str(statement.preference),
        "quote": statement.quote,
        "source": statement.source,
        "where": statement.where,
        "measure": policy.measure(statement.protocol),
        "uses": sorted(statement.uses),
        "force": str(statement.force),
        "note": statement.note,
    }


def _gap_to_json(gap: Gap) -> dict[str, Any]:
    return {
        "protocol": gap.protocol,
        "quote": gap.quote,
        "source": gap.source,
        "where": gap.where,
        "detail": gap.detail,
        "defers": sorted(gap.defers),
    }


def _text(item: dict[str, Any], key: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise BadCase(f"{key!r} is {'missing' if value is None else 'not text, or empty'}")
    return value


def _word(item: dict[str, Any], key: str, words: type[Word]) -> Word:
    text = _text(item, key)
    if text not in set(words):
        raise BadCase(f"{key!r} is {text!r}, and not one of {', '.join(words)}")
    return words(text)


def _time(case: dict[str, Any]) -> datetime:
    """Returns a time with its offset (RFC 3339 5.6)."""
    text = _text(case, "at")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadCase(f"'at' is {text!r}, and not a time like 2026-01-31T12:00:00Z")
    return at


def _capture(exchange: object) -> Capture:
    if not isinstance(exchange, dict):
        raise BadCase("An exchange is a JSON object")
    url = _text(exchange, "url")
    if url not in (operator.LIST, infringing_list.LIST):
        url = urls.parse(url).href
    if ("status" in exchange) == ("error" in exchange):
        raise BadCase(f"The exchange of {url} has either a 'status' or an 'error'")
    if "error" in exchange:
        return Capture(url, error=_word(exchange, "error", Failure))
    status = exchange["status"]
    # RFC 9110 15: what lies beyond 599 is served all the same (999), and is a failure like 5xx.
    if type(status) is not int or not 100 <= status <= 999:
        raise BadCase(f"The exchange of {url} has the 'status' {status!r}, and not one from 100 to 999")
    return Capture(url, status, _headers(exchange, url), _body(exchange, url))


def _headers(exchange: dict[str, Any], url: str) -> tuple[tuple[str, str], ...]:
    headers = exchange.get("headers", [])
    pairs = isinstance(headers, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in headers)
    if not pairs or not all(isinstance(text, str) for pair in headers for text in pair):
        raise BadCase(f"The 'headers' of {url} are not a list of pairs of texts")
    return tuple((field, value) for field, value in headers)


def _body(exchange: dict[str, Any], url: str) -> bytes:
    if "body" in exchange and "body_b64" in exchange:
        raise BadCase(f"The exchange of {url} has both a 'body' and a 'body_b64'")
    key = "body_b64" if "body_b64" in exchange else "body"
    body = exchange.get(key, "")
    if not isinstance(body, str):
        raise BadCase(f"The {key!r} of {url} is not text")
    try:
        return base64.b64decode(body, validate=True) if key == "body_b64" else body.encode()
    except UnicodeEncodeError:
        raise BadCase(f"The 'body' of {url} has half a surrogate pair in it: use 'body_b64'") from None
    except ValueError:
        raise BadCase(f"The 'body_b64' of {url} is not Base64") from None
