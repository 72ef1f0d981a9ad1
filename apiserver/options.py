"""What an operator decides about an API server: the command line, and what the files say that it names.

What reads a file is imported where there is one: it is heavy, and most servers have none. What is wrong with one is a
`click.ClickException`.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from apiserver.access.oidc.config import Anonymous, Trusted
    from apiserver.admission.pod_security.configuration import PodSecurityConfiguration
    from apiserver.audit.record import Audit
    from apiserver.server import Settings
    from apiserver.tracing.spans import Spans


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    store: str
    bind_addresses: tuple[str, ...]
    port: int
    tls_cert: Path
    tls_key: Path
    client_ca: Path
    service_account_key: Path
    service_cidr: str
    advertise_address: str
    kubelet_ca: Path | None
    kubelet_cert: Path | None
    kubelet_key: Path | None
    proxy_client_cert: Path | None
    proxy_client_key: Path | None
    requestheader_client_ca: Path | None
    etcd_ca: Path | None
    etcd_cert: Path | None
    etcd_key: Path | None
    disable_admission_plugins: tuple[str, ...]
    max_requests_inflight: int
    request_timeout: float
    encryption_provider_config: Path | None
    audit_policy_file: Path | None
    audit_log_path: str
    audit_log_maxsize: int
    audit_log_maxbackup: int
    audit_log_maxage: int
    tracing_config_file: Path | None
    enable_admission_plugins: tuple[str, ...]
    pod_security_config: Path | None
    authentication_config: Path | None
    oidc_issuer_url: str
    oidc_client_id: str
    oidc_ca_file: Path | None
    oidc_username_claim: str
    oidc_username_prefix: str
    oidc_groups_claim: str
    oidc_groups_prefix: str
    oidc_signing_algs: str
    oidc_required_claim: tuple[str, ...]
    default_not_ready_toleration_seconds: int
    default_unreachable_toleration_seconds: int


def settings_of(options: Options) -> Settings:
    """All but what is opened, such as a log."""
    from apiserver.server import Settings

    trusted, anonymous = _authentication(options)
    return Settings(
        service_account_key=options.service_account_key,
        service_cidr=options.service_cidr,
        advertise_address=options.advertise_address or options.bind_addresses[-1],
        port=options.port,
        hostname=socket.gethostname(),
        kubelet_ca=options.kubelet_ca,
        kubelet_cert=options.kubelet_cert,
        kubelet_key=options.kubelet_key,
        proxy_client_cert=options.proxy_client_cert,
        proxy_client_key=options.proxy_client_key,
        requestheader_ca=options.requestheader_client_ca,
        client_ca=options.client_ca,
        disabled_admission=options.disable_admission_plugins,
        max_requests_inflight=options.max_requests_inflight,
        request_timeout_seconds=options.request_timeout,
        enabled_admission=options.enable_admission_plugins,
        pod_security=_pod_security(options.pod_security_config),
        trusted_issuers=trusted,
        anonymous=anonymous,
        not_ready_toleration_seconds=options.default_not_ready_toleration_seconds,
        unreachable_toleration_seconds=options.default_unreachable_toleration_seconds,
    )


def _authentication(options: Options) -> tuple[tuple[Trusted, ...], Anonymous | None]:
    file = options.authentication_config
    if file is None and not options.oidc_issuer_url:
        return (), None
    from pydantic import ValidationError

    from apiserver.access.oidc.config import AuthenticationConfiguration, Flags, Trusted, trusted_by_flags
    from apiserver.file_errors import FileProblem, problems_of, read_model

    if file is not None and options.oidc_issuer_url:
        raise click.ClickException("--authentication-config and --oidc-issuer-url exclude each other")
    try:
        if file is not None:
            said = read_model(file, AuthenticationConfiguration)
            return said.jwt, said.anonymous
        if not options.oidc_client_id:
            raise click.ClickException("--oidc-issuer-url needs an --oidc-client-id")
        names = (options.oidc_username_claim, options.oidc_username_prefix)
        groups = (options.oidc_groups_claim, options.oidc_groups_prefix)
        algorithms = tuple(options.oidc_signing_algs.split(","))
        who = (options.oidc_issuer_url, options.oidc_client_id, options.oidc_ca_file)
        return (trusted_by_flags(Flags(*who, *names, *groups, algorithms, options.oidc_required_claim)),), None
    except FileProblem as problem:
        raise click.ClickException(f"--authentication-config {file}: {problem}") from None
    except ValidationError as error:
        raise click.ClickException(f"--oidc-issuer-url: {problems_of(error, Trusted)}") from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def audit_of(options: Options) -> Audit | None:
    """Who writes the audit log, if a file says what is to be in it."""
    if options.audit_policy_file is None:
        return None
    from apiserver.audit.log import AuditLog, Rotation
    from apiserver.audit.policy import PolicyError, load_policy
    from apiserver.audit.record import Audit

    rotation = Rotation(options.audit_log_maxsize, options.audit_log_maxbackup, options.audit_log_maxage)
    try:
        return Audit(load_policy(options.audit_policy_file), AuditLog(options.audit_log_path, rotation))
    except (PolicyError, OSError) as error:
        raise click.ClickException(str(error)) from None


def spans_of(options: Options) -> Spans | None:
    """What tells OpenTelemetry of requests, if a file says where it listens."""
    file = options.tracing_config_file
    if file is None:
        return None
    from apiserver.file_errors import FileProblem
    from apiserver.tracing.configuration import read_tracing

    try:
        configuration = read_tracing(file)
    except FileProblem as problem:
        raise click.ClickException(f"--tracing-config-file {file}: {problem}") from None
    from apiserver.tracing.spans import Spans

    return Spans(configuration)


def _pod_security(path: Path | None) -> PodSecurityConfiguration | None:
    if path is None:
        return None
    from apiserver.admission.pod_security.configuration import ConfigurationError, read_configuration

    try:
        return read_configuration(path)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
