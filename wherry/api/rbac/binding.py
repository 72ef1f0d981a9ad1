"""RoleBinding and ClusterRoleBinding: who has a role."""

from __future__ import annotations

from wherry.machinery.resource import Resource
from wherry.machinery.view import View


class RoleRef(View):
    """The role that is granted."""

    api_group: str = ""
    kind: str = ""
    name: str = ""


class Subject(View):
    """A User, Group or ServiceAccount."""

    kind: str = ""
    api_group: str = ""
    name: str = ""
    namespace: str = ""


class RoleBinding(Resource, group="rbac.authorization.k8s.io", version="v1"):
    """A role granted in one namespace."""

    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] = ()

    name_rule = "path"
    create_on_update = True


class ClusterRoleBinding(Resource, group="rbac.authorization.k8s.io", version="v1", scope="Cluster"):
    """A cluster role granted everywhere."""

    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] = ()

    name_rule = "path"
    create_on_update = True
