"""The gateway as one ASGI app: which routes there are, and what all of them share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from actors.domain.domain import Domain
from actors.runtime.client import CommandSender
from gateway.access.auth import Guard, refuse_open_routes
from gateway.access.rate import Rates
from gateway.access.sign_in import SignInCodes
from gateway.access.token_verifier import Verifier
from gateway.cluster import Cluster
from gateway.counted_sender import CountedSender
from gateway.http.access_log import AccessLog
from gateway.http.direct import DirectRoutes
from gateway.http.door import Door
from gateway.http.limits import Limits
from gateway.http.problems import answer
from gateway.metrics import Metrics
from gateway.openapi import describe
from gateway.queries.answers import Answers
from gateway.queries.log_reader import LogReader
from gateway.queries.tail import Tail
from gateway.routes.batch import batch_route
from gateway.routes.cluster import cluster_routes
from gateway.routes.command_status import command_status_routes
from gateway.routes.commands import command_routes
from gateway.routes.console import console_routes
from gateway.routes.customers import customer_order_routes, customer_routes
from gateway.routes.docs import docs_routes
from gateway.routes.health import health_routes
from gateway.routes.history import history_routes
from gateway.routes.metrics import Scrape, metrics_route
from gateway.routes.operator_log import OperatorLog, operator_log_route
from gateway.routes.orders import order_routes, sales_routes
from gateway.routes.projections import projection_routes
from gateway.routes.stream import stream_route
from gateway.routes.views import view_routes
from gateway.traced_sender import traced
from projections.customer_orders import CUSTOMER_ORDERS
from projections.customers import CUSTOMERS
from projections.orders import ORDERS
from projections.projection import projections_of
from projections.sales import SALES
from projections.steering import Steering
from projections.view_reader import ViewReader

_OWN_ROUTES = (
    (CUSTOMERS, customer_routes),
    (CUSTOMER_ORDERS, customer_order_routes),
    (ORDERS, order_routes),
    (SALES, sales_routes),
)


LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")


def create_app(
    domain: Domain,
    sender: CommandSender,
    reader: ViewReader,
    log: LogReader,
    tail: Tail,
    cluster: Cluster,
    steering: Steering,
    verifier: Verifier,
    *,
    codes: SignInCodes | None = None,
    hosts: Collection[str] = LOOPBACK_HOSTS,
    limits: Limits | None = None,
    access_log: AccessLog | None = None,
    metrics: Metrics | None = None,
) -> Door:
    """The gateway for a domain.

    Args:
        codes: one-time codes that open the console; only with the local key.
        hosts: names that requests may call it by.

    Raises:
        ValueError: a route declares no scope.
    """
    limits, metrics = limits or Limits(), metrics or Metrics()
    sender = CountedSender(traced(sender), metrics)
    scrape = Scrape(metrics, cluster, reader, log, steering, projections_of(domain))
    guard = Guard(verifier, Rates(limits.rate_per_s))
    answers = Answers(sender, reader, log, limits)
    routes = [
        *command_routes(domain, sender, limits),
        batch_route(domain, sender, limits),
        *_query_routes(domain, answers),
        stream_route(domain, answers, tail),
        *health_routes(sender, reader),
        *cluster_routes(cluster),
        metrics_route(scrape),
        *projection_routes(steering, OperatorLog(sender)),
        operator_log_route(answers),
    ]
    app = Litestar(
        route_handlers=[*routes, *docs_routes(describe(domain, routes)), *console_routes(codes, limits)],
        guards=[guard],
        exception_handlers={HTTPException: answer, Exception: answer},
        # Bodies are read by `gateway/http/body.py`.
        request_max_body_size=None,
        openapi_config=None,
        logging_config=None,
    )
    refuse_open_routes(app)
    return Door(DirectRoutes(app, guard), limits, hosts, access_log or AccessLog(), metrics)


def _query_routes(domain: Domain, answers: Answers) -> Sequence[HTTPRouteHandler]:
    served = projections_of(domain)
    routes = [route for projection, make in _OWN_ROUTES if projection in served for route in make(answers)]
    with_routes = [projection for projection, _ in _OWN_ROUTES]
    others = {projection.name: projection for projection in served if projection not in with_routes}
    return [
        *routes,
        *history_routes(domain, answers),
        *command_status_routes(domain, answers),
        *view_routes(answers, others),
    ]
