"""Certifying: approves and signs certificate signing requests, as controllers/access/certificate_requests.py says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm

from controllers.access.certificate_requests import (
    Recognition,
    approved,
    failed,
    is_to_be_signed,
    issued,
    recognitions,
    refusal,
)
from controllers.shells.authority import Authority
from controllers.shells.bench import Bench
from controllers.shells.desk import ShellDesk
from wherry.api.certificates.certificate_signing_request import CertificateSigningRequest
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.client.plan import Plan
from wherry.machinery.errors import NotFound

WORKERS = 2
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
# Who may not have a certificate today may be given the right to it.
ASK_AGAIN_SECONDS = 30.0


class Certifying:
    """See the module. Without an authority requests are approved, and left for others to sign."""

    def __init__(
        self,
        client: Client,
        informer: Informer[CertificateSigningRequest],
        authority: Authority | None,
        may_act: Callable[[], bool],
    ) -> None:
        self._client, self._authority = client, authority
        self._desk = ShellDesk("certificates", client, may_act)
        self._bench = Bench("certificates", self._decide, workers=WORKERS)
        informer.subscribe(self._changed)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to approve or sign just now."""
        return self._bench.is_idle

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._desk.recorder.run())
            group.create_task(self._bench.run())

    def _changed(self, change: Change[CertificateSigningRequest]) -> None:
        csr = change.after
        if csr is not None and (recognitions(csr) or (self._authority is not None and is_to_be_signed(csr))):
            self._bench.add(csr.key)

    async def _decide(self, name: str) -> float | None:
        try:
            csr = await self._client.get(CertificateSigningRequest, name)
        except NotFound:
            return None
        known = recognitions(csr)
        for one in known:
            if await self._may_have(csr, one):
                await self._desk.carry_out(csr, approved(csr, one.message, clock.whole_seconds(clock.now())))
                return None
        if self._authority is not None and is_to_be_signed(csr):
            await self._desk.carry_out(csr, outcome(csr, self._authority, clock.whole_seconds(clock.now())))
        return ASK_AGAIN_SECONDS if known else None

    async def _may_have(self, csr: CertificateSigningRequest, wanted: Recognition) -> bool:
        spec = csr.spec
        subject = {"user": spec.username, "uid": spec.uid, "groups": spec.groups, "extra": spec.extra}
        kind = CertificateSigningRequest.kind
        attributes = {"group": kind.group, "resource": kind.plural, "verb": "create", "subresource": wanted.permission}
        review: dict[str, Any] = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        review["spec"] = {**subject, "resourceAttributes": attributes}
        answer = await self._client.request("POST", _REVIEWS, body=review)
        return bool(answer["status"].get("allowed"))


def outcome(csr: CertificateSigningRequest, authority: Authority, now: datetime) -> Plan:
    """The certificate, or why there will be none: what cannot be signed today cannot be signed tomorrow."""
    if why := refusal(csr):
        return failed(csr, why, now)
    try:
        return issued(csr, authority.sign(csr, now))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return failed(csr, f"unable to sign csr: {error}", now)
