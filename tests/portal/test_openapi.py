"""The JSON API against its own OpenAPI document: whatever is sent, no server error and no answer of another shape."""

from __future__ import annotations

from datetime import timedelta

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from forbear.storage.accounts import sessions
from forbear.storage.accounts.accounts import Role, Scope
from forbear.storage.database import writing
from forbear.storage.db.records import now
from tests.portal.signing_in import enrolled

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

pytestmark = [
    pytest.mark.usefixtures("crawled"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


@pytest.fixture
def token(engine):
    enrolled(engine, "ada", Role.ADMIN)
    with writing(engine) as connection:
        return sessions.issue(connection, "ada", "all", set(Scope), timedelta(days=1), now())


def test_whatever_is_sent_the_answer_is_as_documented(portal, token):
    schema = schemathesis.openapi.from_url(f"{portal.url}/api/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    assert {operation.path for operation in operations} >= {"/api/lookup", "/crawlers/card.json", "/api/v1/decisions"}
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        def check(case):
            case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {token}"})

        check()


def test_the_document_is_openapi_3_1_and_names_its_version(portal):
    document = portal.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Forbear"
