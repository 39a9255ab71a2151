"""Timestamps by an authority (RFC 3161): third-party evidence that a checkpoint existed at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import httpx
from cryptography.x509 import Certificate
from rfc3161_client import (
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

_SECONDS = 30
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"


class BadTimestamp(Exception):
    """A timestamp is missing, for another text, or by another authority; the message is a sentence."""


def ask(url: str, message: bytes) -> bytes:
    """Requests a timestamp (DER) for a message, sending only its SHA-256. Raises BadTimestamp."""
    request = TimestampRequestBuilder().data(message).nonce(nonce=True).cert_request(cert_request=True).build()
    try:
        answer = httpx.post(url, content=request.as_bytes(), headers={"Content-Type": _QUERY}, timeout=_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BadTimestamp(f"The timestamp authority {url} cannot be reached: {error}.") from None
    if answer.status_code != 200 or answer.headers.get("content-type") != _REPLY:
        raise BadTimestamp(f"The timestamp authority {url} gave no timestamp: it answered {answer.status_code}.")
    response = _read(answer.content)
    if response.tst_info.nonce != request.nonce:
        raise BadTimestamp(f"The timestamp authority {url} answered another request than this one.")
    _check_message(response, message)
    return answer.content


def check(response: bytes, message: bytes, roots: Sequence[Certificate] = ()) -> datetime:
    """Returns when a message existed, by an authority that one of the roots certifies; without roots, by any.

    Raises BadTimestamp.
    """
    read = _read(response)
    _check_message(read, message)
    if roots:
        builder = VerifierBuilder()
        for root in roots:
            builder = builder.add_root_certificate(root)
        try:
            builder.build().verify_message(read, message)
        except VerificationError as error:
            raise BadTimestamp(f"The timestamp is not by an authority that you named: {error}.") from None
    return read.tst_info.gen_time


def _read(response: bytes) -> TimeStampResponse:
    try:
        read = decode_timestamp_response(response)
        granted = PKIStatus(read.status) in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS)
    except ValueError:
        raise BadTimestamp("This is not a timestamp (RFC 3161).") from None
    if not granted:
        raise BadTimestamp(f"The authority gave no timestamp: {', '.join(read.status_string) or read.status}.")
    return read


def _check_message(response: TimeStampResponse, message: bytes) -> None:
    imprint = response.tst_info.message_imprint
    known = [name for name in ("sha256", "sha384", "sha512") if hashlib.new(name, message).digest() == imprint.message]
    if not known:
        raise BadTimestamp("The timestamp is for another text than this one.")
