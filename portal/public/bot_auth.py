"""Publishes the crawler's public key, with which sites verify signed requests (Web Bot Auth)."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import Response

from forbear.crawler.fetch.bot_auth import DIRECTORY, MEDIA_TYPE, directory
from forbear.portal.web.context import Portal, portal_of

router = APIRouter(include_in_schema=False)


@router.get(DIRECTORY)
def keys(portal: Annotated[Portal, Depends(portal_of)]) -> Response:
    """The key directory, signed with the key itself; 404 if the crawler does not sign."""
    signer = portal.settings.signer
    if signer is None:
        raise HTTPException(404, "These crawlers do not sign their requests.")
    headers = signer.directory_headers() | {"Cache-Control": "no-store"}  # its signature lasts minutes
    return Response(json.dumps(directory(signer)), media_type=MEDIA_TYPE, headers=headers)
