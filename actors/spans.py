"""Spans of OpenTelemetry, for programs that have set a tracer provider; without one, nothing is made and nothing asked.

A command is one trace: the request that brought it, its append in the silo, and its fold in each view. What joins them
is the `traceparent` that travels with the command and stays in the metadata of its events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Attributes = Mapping[str, str | int]

_w3c = TraceContextTextMapPropagator()


class _Traced(msgspec.Struct, frozen=True, gc=False):
    traceparent: str = ""


_metadata = msgspec.json.Decoder(_Traced)


def wanted() -> bool:
    """Whether there is a tracer provider. Each part of the service asks once, when it begins to work."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextmanager
def request_span(name: str, traceparent: str, attributes: Attributes) -> Iterator[Span]:
    """A span for the block, below the span of the caller if there is one."""
    with trace.get_tracer("rayleans").start_as_current_span(
        name,
        _below(traceparent),
        SpanKind.SERVER,
        attributes,
        # What an error says may name what nobody should read here.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def event_span(name: str, metadata: str, began_ns: int, attributes: Attributes) -> None:
    """A span that ends now, below that of the request which led to an event; nothing for one that was not traced."""
    traceparent = _metadata.decode(metadata).traceparent
    if traceparent:
        trace.get_tracer("rayleans").start_span(
            name, _below(traceparent), SpanKind.CONSUMER, attributes, start_time=began_ns
        ).end()


def traceparent_of(span: Span) -> str:
    """The place of a span in its trace, as W3C Trace Context writes it."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get("traceparent", "")


def _below(traceparent: str) -> Context:
    return _w3c.extract({"traceparent": traceparent}, Context())
