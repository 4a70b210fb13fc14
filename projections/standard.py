"""The domain that is served unless another one is named."""

from __future__ import annotations

from actors.domain.customer import CUSTOMER
from actors.domain.domain import Domain
from actors.domain.order import ORDER
from projections.customer_orders import CUSTOMER_ORDERS
from projections.customers import CUSTOMERS
from projections.orders import ORDERS
from projections.sales import SALES

STANDARD = Domain(deciders=[CUSTOMER, ORDER], projections=[CUSTOMERS, ORDERS, CUSTOMER_ORDERS, SALES])
