"""TokenReview: whose token is this? SelfSubjectReview: who am I?"""

from __future__ import annotations

from wherry.machinery.resource import Resource
from wherry.machinery.view import View

GROUP = "authentication.k8s.io"


class UserInfo(View):
    """Somebody who is known."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class TokenReviewSpec(View):
    """The token, and the audiences it should be for."""

    token: str = ""
    audiences: tuple[str, ...] = ()


class TokenReviewStatus(View):
    """Whose it is, if it is good."""

    authenticated: bool = False
    user: UserInfo = UserInfo()
    audiences: tuple[str, ...] = ()
    error: str = ""


class TokenReview(Resource, group=GROUP, version="v1", scope="Cluster", verbs=("create",)):
    """Whose token is this?"""

    spec: TokenReviewSpec = TokenReviewSpec()
    status: TokenReviewStatus = TokenReviewStatus()


class SelfSubjectReviewStatus(View):
    """The one who asks."""

    user_info: UserInfo = UserInfo()


class SelfSubjectReview(Resource, group=GROUP, version="v1", scope="Cluster", verbs=("create",)):
    """Who am I?"""

    status: SelfSubjectReviewStatus = SelfSubjectReviewStatus()


class SelfSubjectReviewV1Beta1(
    Resource, group=GROUP, version="v1beta1", scope="Cluster", verbs=("create",), name="SelfSubjectReview"
):
    """Who am I? As kubectl 1.27 asks, which knows no newer version."""

    status: SelfSubjectReviewStatus = SelfSubjectReviewStatus()
