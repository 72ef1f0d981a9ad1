"""Where OpenTelemetry listens, and which requests it is told of: Kubernetes' TracingConfiguration, as a file.

apiVersion: apiserver.config.k8s.io/v1
kind: TracingConfiguration
endpoint: localhost:4317
samplingRatePerMillion: 10000
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from apiserver.file_errors import FileProblem, read_model

# The interface, and what several exporters share, come with other packages as well.
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc")


class TracingConfiguration(BaseModel):
    """`endpoint` speaks OTLP over gRPC, in the clear as with Kubernetes: it is meant to be on this machine.

    Without a rate only those requests are told of whose client says that its own trace is recorded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)

    api_version: Literal[
        "apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1"
    ]
    kind: Literal["TracingConfiguration"]
    endpoint: Annotated[str, Field(pattern=r"^[^/\s]+:\d+$")] = "localhost:4317"
    sampling_rate_per_million: Annotated[int, Field(ge=0, le=1_000_000)] = 0


def read_tracing(file: Path) -> TracingConfiguration:
    """What the file says; raises FileProblem, also where OpenTelemetry is not installed."""
    configuration = read_model(file, TracingConfiguration)
    if not _is_installed():
        raise FileProblem(
            "OpenTelemetry is not installed: pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-grpc"
        )
    return configuration


def _is_installed() -> bool:
    try:
        return all(map(find_spec, _NEEDED))
    except ModuleNotFoundError:  # what one of them is within is not there either
        return False
