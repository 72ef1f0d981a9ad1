"""Role and ClusterRole: a set of permissions. Evaluated by apiserver/rbac.py."""

from __future__ import annotations

from wherry.machinery.resource import Resource
from wherry.machinery.view import View


class PolicyRule(View):
    """Verbs on resources, or on URL paths; `*` stands for all."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


class Role(Resource, group="rbac.authorization.k8s.io", version="v1"):
    """Permissions within one namespace."""

    rules: tuple[PolicyRule, ...] = ()

    name_rule = "path"
    create_on_update = True


class ClusterRole(Resource, group="rbac.authorization.k8s.io", version="v1", scope="Cluster"):
    """Permissions everywhere, or, through a RoleBinding, in one namespace."""

    rules: tuple[PolicyRule, ...] = ()

    name_rule = "path"
    create_on_update = True
