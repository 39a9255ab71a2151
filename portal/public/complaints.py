"""Complaints (measure 1.5(2)): a form for a precise, substantiated notice, a receipt, a private page to follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData, UploadFile

from forbear.optout.readers.url import NotAUrl
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.rendering import render
from forbear.portal.web.validation import ACCEPTED, EMAIL, MOST_FILES, MOST_OCTETS, file_name, media_type
from forbear.storage.accounts import mails
from forbear.storage.db.hostnames import read
from forbear.storage.db.records import now
from forbear.storage.log.complaints import (
    WITHIN,
    Attachment,
    Complaint,
    ComplaintState,
    Notice,
    find_by_secret,
    receive,
)

router = APIRouter(include_in_schema=False)

Here = Annotated[Portal, Depends(portal_of)]


@dataclass(frozen=True, slots=True)
class Text:
    """A field of the form: most characters, and the message if it is empty; None if it may be empty."""

    most: int
    missing: str | None = None


FIELDS: Mapping[str, Text] = {
    "name": Text(200, "Say who you are."),
    "email": Text(254, "Say how we reach you."),
    "on_behalf": Text(1000),
    "works": Text(4000, "Say which works it is about."),
    "urls": Text(20_000, "Name at least one domain or address."),
    "what": Text(10_000, "Say what went wrong."),
}
MOST_URLS = 500

MEANINGS: Mapping[ComplaintState, str] = {
    ComplaintState.RECEIVED: "It has arrived, and nobody has read it yet.",
    ComplaintState.ACKNOWLEDGED: "Somebody has read it and looks after it.",
    ComplaintState.IN_REVIEW: "It is being examined.",
    ComplaintState.ACCEPTED: "It was accepted: our crawlers leave alone what is named below from now on.",
    ComplaintState.REJECTED: "It was examined and not accepted.",
    ComplaintState.DUPLICATE: "It repeats an earlier complaint.",
    ComplaintState.UNFOUNDED: "It was found to be manifestly unfounded.",
}
"""What each state means to the person who complained."""


@router.get("/complaints")
def form(request: Request, about: Annotated[str, Query(max_length=2048)] = "") -> HTMLResponse:
    """The form, filled in with the domain that it is about."""
    return _form(request, {"urls": about}, {})


def _form(request: Request, given: Mapping[str, str], wrong: Mapping[str, str], status: int = 200) -> HTMLResponse:
    return render(
        request, "complain.html", status=status, given=given, wrong=wrong, fields=FIELDS, accepted=ACCEPTED,
        most_files=MOST_FILES, most_mib=MOST_OCTETS >> 20, within={str(state): at.days for state, at in WITHIN.items()},
    )  # fmt: skip


@router.post("/complaints")
async def send(request: Request, portal: Here) -> Response:
    """Receives a complaint and leads to its private page, or shows the form again with what is missing."""
    sent = await request.form()
    given = {name: _text(sent, name) for name in FIELDS}
    wrong = {name: message for name, field in FIELDS.items() if (message := _wrong(given[name], field))}
    if "email" not in wrong and not EMAIL.fullmatch(given["email"]):
        wrong["email"] = "This is not a mail address: write one like name@example.org."
    addresses = _addresses(given["urls"])
    if "urls" not in wrong and (bad := _wrong_addresses(addresses)):
        wrong["urls"] = bad
    if _text(sent, "good_faith") != "yes":
        wrong["good_faith"] = "Confirm this, or leave out what you cannot confirm."
    files = [file for file in sent.getlist("files") if isinstance(file, UploadFile) and file.filename]
    attachments, message = await _attachments(files)
    if message:
        wrong["files"] = message
    if wrong:
        return _form(request, given | {"good_faith": _text(sent, "good_faith")}, wrong, 422)
    notice = Notice(
        given["name"], given["email"], given["on_behalf"], given["works"], addresses, given["what"], True, attachments
    )
    secret = _receive(portal, notice)
    return RedirectResponse(f"/complaints/{secret}", 303)


def _text(sent: FormData, name: str) -> str:
    value = sent.get(name, "")
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""


def _wrong(text: str, field: Text) -> str:
    if not text:
        return field.missing or ""
    return f"Make it shorter: {field.most:,} characters at most." if len(text) > field.most else ""


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.strip() for line in text.replace(",", "\n").split("\n") if line.strip()))


def _wrong_addresses(addresses: Sequence[str]) -> str:
    if len(addresses) > MOST_URLS:
        return f"Name at most {MOST_URLS} addresses: a domain covers everything below it."
    for address in addresses:
        try:
            read(address)
        except NotAUrl as error:
            return f"{error}."
    return ""


async def _attachments(files: Sequence[UploadFile]) -> tuple[tuple[Attachment, ...], str]:
    """Returns the files as attachments, and what is wrong with one of them."""
    if len(files) > MOST_FILES:
        return (), f"Send {MOST_FILES} files at most."
    found = []
    for file in files:
        name = file_name(file.filename or "")
        content = await file.read(MOST_OCTETS + 1)
        if len(content) > MOST_OCTETS:
            return (), f"{name} is larger than {MOST_OCTETS >> 20} MiB: send a smaller one, or give its address."
        kind = media_type(name, content)
        if kind is None:
            return (), f"{name} is none of the kinds that are taken (PDF, pictures, plain text, DOCX, ODT)."
        found.append(Attachment(name, kind, content))
    return tuple(found), ""


def _receive(portal: Portal, notice: Notice) -> str:
    with portal.writing() as connection:
        secret, complaint = receive(connection, notice, now())
        if portal.settings.smtp:
            receipt = _receipt(portal, complaint, portal.address(f"/complaints/{secret}"))
            mails.queue(connection, notice.email, f"Complaint {complaint.number}", receipt, now())
            contact = portal.settings.contact
            if contact.startswith("mailto:"):
                body = f"Complaint {complaint.number} came in. Its next step is due by {complaint.due_at:%Y-%m-%d}.\n"
                subject = f"New complaint {complaint.number}"
                mails.queue(connection, contact.removeprefix("mailto:"), subject, body, now())
    return secret


def _receipt(portal: Portal, complaint: Complaint, link: str) -> str:
    days = WITHIN[ComplaintState.RECEIVED].days
    return (
        f"{complaint.notice.name},\n\nyour complaint has arrived at {portal.settings.name}. Its number is"
        f" {complaint.number}.\n\nSomebody reads it within {days} days. How it stands, each step with its reason:\n"
        f"{link}\n\nThe link is private: whoever has it can read the complaint.\n"
    )


@router.get("/complaints/{secret}")
def status(request: Request, portal: Here, secret: str) -> HTMLResponse:
    """The state of a complaint, under its private link."""
    with portal.reading() as connection:
        complaint = find_by_secret(connection, secret)
    if complaint is None:
        raise HTTPException(404, "There is no complaint under this link: copy the whole of it.")
    return render(request, "complaint.html", complaint=complaint, meanings=MEANINGS, now=now(), private=True)
