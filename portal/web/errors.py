"""Error pages with one sentence, and the same as JSON for programs."""

from __future__ import annotations

import re
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from forbear.optout.readers.url import NotAUrl
from forbear.portal.web.rendering import render
from forbear.storage.database import StorageError


class Refusal(BaseModel):
    """What went wrong, in one sentence."""

    error: str


_FOR_PROGRAMS = re.compile(r"/api/|/badge/|/\.well-known/|.*\.(?:json|atom)$")
"""Paths for programs: their errors are JSON."""

_SENTENCES = {
    404: "There is no page at this address.",
    405: "This address does not accept this method.",
    500: "Something broke in the portal. The error is in its log. Try again later, or write to the contact below.",
    503: "The database cannot be reached just now: try again in a minute.",
}


def install(app: FastAPI) -> None:
    """Installs a handler for every kind of error."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(NotAUrl, _not_a_url)
    app.add_exception_handler(StorageError, _storage)
    app.add_exception_handler(Exception, _broken)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_MODIFIED:
        return Response(status_code=304, headers=error.headers)
    detail = "" if error.detail == HTTPStatus(error.status_code).phrase else str(error.detail)
    sentence = detail or _SENTENCES.get(error.status_code, f"{error.detail}.")
    answer = _answer(request, error.status_code, sentence)
    answer.headers.update(error.headers or {})
    return answer


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = sorted({str(one["loc"][-1]) for one in error.errors()})
    return _answer(request, 422, f"What was sent is not right in {', '.join(wrong)}: correct it and send it again.")


def _not_a_url(request: Request, error: Exception) -> Response:
    return _answer(request, 422, f"{error}.")


def _storage(request: Request, _error: Exception) -> Response:
    return _answer(request, 503, _SENTENCES[503])


def _broken(request: Request, _error: Exception) -> Response:
    return _answer(request, 500, _SENTENCES[500])


def _answer(request: Request, status: int, sentence: str) -> Response:
    if _FOR_PROGRAMS.match(request.url.path):
        return JSONResponse({"error": sentence}, status)
    return render(request, "error.html", status=status, number=status, sentence=sentence)
