"""The gateway as one ASGI app: which routes there are, and what all of them share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from actors.domain.domain import Domain
from actors.runtime.client import CommandSender
from gateway.access_log import AccessLog
from gateway.answers import Answers
from gateway.auth import Guard, refuse_open_routes
from gateway.batch import batch_route
from gateway.cluster import Cluster
from gateway.cluster_routes import cluster_routes
from gateway.command_status import command_status_routes
from gateway.commands import command_routes
from gateway.console_routes import console_routes
from gateway.customer_routes import customer_order_routes, customer_routes
from gateway.direct import DirectRoutes
from gateway.docs_routes import docs_routes
from gateway.door import Door
from gateway.history_routes import history_routes
from gateway.limits import Limits
from gateway.log_reader import LogReader
from gateway.metrics import CountedSender, Metrics
from gateway.metrics_routes import Scrape, metrics_route
from gateway.openapi import describe
from gateway.operations import operation_routes
from gateway.operator_log import OperatorLog, operator_log_route
from gateway.order_routes import order_routes, sales_routes
from gateway.problems import answer
from gateway.projection_routes import projection_routes
from gateway.rate import Rates
from gateway.sign_in import SignInCodes
from gateway.stream import stream_route
from gateway.tail import Tail
from gateway.token_verifier import Verifier
from gateway.traced_sender import traced
from gateway.view_routes import view_routes
from projections.customer_orders import CUSTOMER_ORDERS
from projections.customers import CUSTOMERS
from projections.orders import ORDERS
from projections.projection import projections_of
from projections.sales import SALES
from projections.steering import Steering
from projections.views import ViewReader

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
    answers = Answers(sender, reader, log)
    routes = [
        *command_routes(domain, sender, limits),
        batch_route(domain, sender, limits),
        *_query_routes(domain, answers),
        stream_route(domain, answers, tail),
        *operation_routes(sender, reader),
        *cluster_routes(cluster),
        metrics_route(scrape),
        *projection_routes(steering, OperatorLog(sender)),
        operator_log_route(answers),
    ]
    app = Litestar(
        route_handlers=[*routes, *docs_routes(describe(domain, routes)), *console_routes(codes, limits)],
        guards=[guard],
        exception_handlers={HTTPException: answer, Exception: answer},
        # Bodies are read by `gateway/body.py`.
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
