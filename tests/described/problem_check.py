"""A check of our own for schemathesis: whatever is not 2xx is a problem document, whole and consistent."""

from __future__ import annotations

from typing import Any

import schemathesis

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


@schemathesis.check
def problem_details(ctx: Any, response: Any, case: Any) -> None:
    """Every answer names its request; every answer but 2xx and 304 is a problem (RFC 9457)."""
    assert response.headers.get("request-id"), "no Request-Id"
    if response.status_code < 300 or response.status_code == 304 or case.method == "HEAD":
        return
    assert response.headers["content-type"] == ["application/problem+json"], response.headers["content-type"]
    problem = response.json()
    if "ready" in problem:
        return
    assert problem.keys() >= MEMBERS, sorted(problem)
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["request-id"][0]
    assert "Traceback" not in response.text
