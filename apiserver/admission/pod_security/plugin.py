"""PodSecurity: pods keep to the standard of their namespace; whoever writes a template is told what will come of it.

Kubernetes: PodSecurity admission. Where the file of `--pod-security-config` is not given, only labels count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.admission.pod_security import baseline as baseline  # registers its checks
from apiserver.admission.pod_security import restricted as restricted
from apiserver.admission.pod_security.checks import Finding, PodLook, findings
from apiserver.admission.pod_security.policy import Demand, Policy, mistakes, of
from apiserver.writing.rest import Write
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.machinery.errors import forbidden, invalid_object

if TYPE_CHECKING:
    from apiserver.server import Server

# How many pods of a namespace are judged when its label changes. Kubernetes: the same number.
MAX_PODS = 3000
_TEMPLATES = (
    *("replicationcontrollers", "podtemplates", "replicasets.apps", "deployments.apps", "statefulsets.apps"),
    *("daemonsets.apps", "jobs.batch", "cronjobs.batch"),
)
_UNJUDGED = ("binding", "eviction", "resize", "status")
_SECCOMP = "seccomp.security.alpha.kubernetes.io/"
_AUDIT = "pod-security.kubernetes.io/"


class PodSecurity(AdmissionPlugin):
    """Kubernetes: PodSecurity."""

    kinds: ClassVar[tuple[str, ...]] = ("namespaces", "pods", *_TEMPLATES)
    order = 900

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        configuration = server.settings.pod_security
        self._default = configuration.defaults.policy if configuration else Policy()
        exempt = configuration.exemptions if configuration else None
        self._namespaces = frozenset(exempt.namespaces if exempt else ())
        self._users = frozenset(exempt.usernames if exempt else ())
        self._runtimes = frozenset(exempt.runtime_classes if exempt else ())

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        resource = write.cls.kind.resource
        if resource == "namespaces":
            if not write.subresource:
                self._judge_namespace(draft, old, write)
            return
        if write.namespace in self._namespaces or write.user.name in self._users:
            return
        policy = self._policy_of(write.namespace)
        if policy.is_open:
            return
        if resource == "pods":
            if write.subresource not in _UNJUDGED and (old is None or _is_significant(draft, old)):
                self._judge(policy, draft, write, is_pod=True)
        elif not write.subresource:
            template = _template(draft, resource)
            if template is not None:
                self._judge(policy, template, write, is_pod=False)

    def _policy_of(self, namespace: str) -> Policy:
        stored = self.server.cache.of(Namespace).get("", namespace)
        return of(stored.labels, self._default) if stored is not None else self._default

    def _judge(self, policy: Policy, pod: Draft, write: Write, *, is_pod: bool) -> None:
        spec = pod.get("spec") or {}
        if spec.get("runtimeClassName") in self._runtimes:
            return
        look = PodLook(pod.get("metadata") or {}, spec)
        found = {demand: findings(demand, look) for demand in set(policy) if demand.level != "privileged"}
        if found.get(policy.audit):
            write.annotations[f"{_AUDIT}audit-violations"] = _would(policy.audit, found[policy.audit])
        if is_pod:
            write.annotations[f"{_AUDIT}enforce-policy"] = str(policy.enforce)
            if found.get(policy.enforce):
                why = f'violates PodSecurity "{policy.enforce}": {_listed(found[policy.enforce])}'
                raise forbidden("pods", write.name, why)
        if found.get(policy.warn):
            write.warnings.append(_would(policy.warn, found[policy.warn]))

    def _judge_namespace(self, draft: Draft, old: Draft | None, write: Write) -> None:
        labels: Mapping[str, str] = draft["metadata"].get("labels") or {}
        before: Mapping[str, str] = ((old or {}).get("metadata") or {}).get("labels") or {}
        wrong = mistakes(labels)
        if wrong and (old is None or wrong != mistakes(before)):
            raise invalid_object("Namespace", write.name, wrong)
        if old is None or write.name in self._namespaces:
            return
        now, was = of(labels, self._default).enforce, of(before, self._default).enforce
        if now == was or now.level == "privileged" or (now.minor == was.minor and not now.is_stricter_than(was)):
            return
        write.warnings.extend(self._warnings(write.name, now))

    def _warnings(self, namespace: str, demand: Demand) -> list[str]:
        """What the pods that are there already would break."""
        stored = sorted(self.server.cache.of(Pod).objects(namespace), key=lambda each: each.name)
        named: dict[str, list[str]] = {}
        for each in stored[:MAX_PODS]:
            pod = each.draft(Pod.kind)
            if (pod.get("spec") or {}).get("runtimeClassName") in self._runtimes:
                continue
            reasons = ", ".join(finding.reason for finding in findings(demand, PodLook(pod["metadata"], pod["spec"])))
            if reasons:
                named.setdefault(reasons, []).append(each.name)
        warnings = []
        if len(stored) > MAX_PODS:
            what = f"the first {MAX_PODS} of {len(stored)} existing pods"
            warnings.append(f"new PodSecurity enforce level only checked against {what}")
        if named:
            level = f'the new PodSecurity enforce level "{demand}"'
            warnings.append(f'existing pods in namespace "{namespace}" violate {level}')
        return [*warnings, *sorted(f"{_counted(pods)}: {reasons}" for reasons, pods in named.items())]


def _counted(pods: list[str]) -> str:
    others = len(pods) - 1
    if not others:
        return pods[0]
    return f"{pods[0]} (and {others} other {'pod' if others == 1 else 'pods'})"


def _listed(found: Iterable[Finding]) -> str:
    return ", ".join(str(finding) for finding in found)


def _would(demand: Demand, found: Iterable[Finding]) -> str:
    return f'would violate PodSecurity "{demand}": {_listed(found)}'


def _template(draft: Draft, resource: str) -> Draft | None:
    """The pods that an object would make."""
    if resource == "podtemplates":
        found = draft.get("template")
    elif resource == "cronjobs.batch":
        job = ((draft.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
        found = job.get("template")
    else:
        found = (draft.get("spec") or {}).get("template")
    return found if isinstance(found, dict) else None


def _is_significant(draft: Draft, old: Draft) -> bool:
    """Whether an update of a pod could change what is found: images, profiles, new containers."""
    return bool(_judged(draft) != _judged(old))


def _judged(pod: Draft) -> Any:
    spec, annotations = pod.get("spec") or {}, pod["metadata"].get("annotations") or {}
    kinds = ("containers", "initContainers", "ephemeralContainers")
    images = [[(each.get("name"), each.get("image")) for each in spec.get(kind) or ()] for kind in kinds]
    return images, {key: value for key, value in annotations.items() if _SECCOMP in key}
