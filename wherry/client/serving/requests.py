"""What Prometheus reads of a client's requests. Kubernetes: `rest_client_requests_total` of client-go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wherry.client.http import Client

if TYPE_CHECKING:
    from prometheus_client.core import Metric


def of_requests(client: Client) -> Iterator[Metric]:
    """How many requests were answered how; those without any answer have the code `<error>`."""
    from prometheus_client.core import CounterMetricFamily  # loaded when somebody asks for the first time

    total = CounterMetricFamily("rest_client_requests", "Requests sent.", labels=["code", "host", "method"])
    host = urlsplit(client.connection.server).netloc.rpartition("@")[2]  # without a password
    for (method, code), count in client.answered.items():
        total.add_metric([code, host, method], count)
    yield total
