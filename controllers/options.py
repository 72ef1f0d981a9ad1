"""The command line of `python -m controllers`, and the settings it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wherry.client.serving.port import NOWHERE, Place

if TYPE_CHECKING:
    from controllers.catalogue import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    kubeconfig: Path
    context: str
    root_ca: Path | None
    cluster_signing_cert_file: Path | None
    cluster_signing_key_file: Path | None
    leader_elect: bool
    node_monitor_grace_seconds: float
    cluster_cidr: str
    node_cidr_mask_size: int
    place: Place = NOWHERE


def settings_of(options: Options) -> Settings:
    """Read and check what the options name; ClickException says what is wrong with it."""
    from controllers.catalogue import Settings

    root_ca = _certificate(options.root_ca) if options.root_ca else ""
    certificate, key = _signing(options)
    _check_ranges(options.cluster_cidr, options.node_cidr_mask_size)
    return Settings(
        root_ca,
        certificate,
        key,
        options.node_monitor_grace_seconds,
        options.cluster_cidr,
        options.node_cidr_mask_size,
    )


def _certificate(path: Path) -> str:
    text = path.read_text(errors="replace")
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise click.ClickException(f"--root-ca {path}: a certificate in PEM is expected, found none")
    return text


def _signing(options: Options) -> tuple[bytes, bytes]:
    """The signing authority's certificate and key; both empty where none is given."""
    from controllers.shells.authority import Authority

    certificate, key = options.cluster_signing_cert_file, options.cluster_signing_key_file
    if certificate is None and key is None:
        return b"", b""
    if certificate is None or key is None:
        raise click.ClickException("--cluster-signing-cert-file and --cluster-signing-key-file: give both or neither")
    contents = certificate.read_bytes(), key.read_bytes()
    try:
        Authority(*contents)
    except (ValueError, TypeError) as error:
        raise click.ClickException(f"--cluster-signing-key-file {key}, with {certificate}: {error}") from None
    return contents


def _check_ranges(cluster_cidr: str, mask: int) -> None:
    from controllers.nodes.node_ipam import node_ipam_controller

    try:
        if cluster_cidr:
            node_ipam_controller(cluster_cidr, mask)
    except ValueError as error:
        raise click.ClickException(f"--cluster-cidr {cluster_cidr}, --node-cidr-mask-size {mask}: {error}") from None
