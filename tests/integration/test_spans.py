"""One command is one trace, from its request to the views."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actors import spans
from projections.standard import STANDARD
from tests.integration.service import Service, running_service

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Gets all spans of the test; the process of the other tests has no tracer provider."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


async def test_command_is_one_trace_from_its_request_to_the_views(
    exporter: InMemorySpanExporter, views_url: str, tmp_path: Path
) -> None:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        await _rename_a_customer(service)
        seen = await _spans_of_views(exporter, {"customers"})

    renamed = [span for span in seen if _trace_of(span) == TRACE]
    (request,) = (span for span in renamed if span.name == "rename customer")
    (append,) = (span for span in renamed if span.name == "append")
    (fold,) = (span for span in renamed if span.name == "fold")
    assert _parent(request) == CALLER
    assert _parent(append) == _parent(fold) == _id_of(request)
    assert _when(request)[0] <= _when(append)[0] <= _when(append)[1] <= _when(request)[1]
    assert _when(fold)[0] >= _when(append)[0]
    assert (request.attributes or {})["rayleans.outcome"] == "done"
    assert (append.attributes or {})["rayleans.position"] == (fold.attributes or {})["rayleans.position"]
    assert not [span for span in seen if "Alicia" in span.to_json()]


async def test_refusal_is_told_by_its_code_and_has_no_append(
    exporter: InMemorySpanExporter, views_url: str, tmp_path: Path
) -> None:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        await service.http.post("/v1/customers/nobody/rename", json={"name": "A"})

    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["rayleans.outcome"] == "customer-not-registered"


def test_without_a_tracer_provider_nobody_wants_spans() -> None:
    assert not spans.wanted()


async def _rename_a_customer(service: Service) -> None:
    await service.register("alice")
    sent = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    reply = await service.http.post("/v1/customers/alice/rename", json={"name": "Alicia"}, headers=sent)
    assert reply.status_code == 200
    stored = (await service.store.read_stream("customer-alice"))[-1]
    assert json.loads(stored.metadata)["traceparent"].startswith(f"00-{TRACE}-")


async def _spans_of_views(exporter: InMemorySpanExporter, views: set[str]) -> Sequence[ReadableSpan]:
    """All spans, once each of these views has folded two events."""
    async with asyncio.timeout(20):
        while True:
            seen = exporter.get_finished_spans()
            folds = [(span.attributes or {})["rayleans.projection"] for span in seen if span.name == "fold"]
            if all(folds.count(view) == 2 for view in views):
                return seen
            await asyncio.to_thread(lambda: None)


def _trace_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return trace.format_trace_id(context.trace_id)


def _id_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return trace.format_span_id(context.span_id)


def _parent(span: ReadableSpan) -> str:
    assert span.parent is not None
    return trace.format_span_id(span.parent.span_id)


def _when(span: ReadableSpan) -> tuple[int, int]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time
