"""Which issuers are trusted, and what their claims mean: Kubernetes' AuthenticationConfiguration, as a file.

apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: https://login.example.edu
    audiences: [wherry]
  claimMappings:
    username: {claim: email, prefix: ""}
    groups: {expression: "claims.courses.map(each, 'course:' + each)"}
  claimValidationRules:
  - {claim: hd, requiredValue: example.edu}
  userValidationRules:
  - {expression: "!user.username.startsWith('system:')", message: system names are taken}
anonymous:
  enabled: true
  conditions: [{path: /livez}, {path: /readyz}]

The `--oidc-` flags say the same of one issuer. Differs: egress selectors are not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator
from pydantic.alias_generators import to_camel

from wherry.machinery.cel import Environment, Failure, Program

# Kubernetes: AllValidSigningAlgorithms. Those by a shared secret are not among them: an issuer keeps its key.
ALGORITHMS = tuple(f"{family}{size}" for family in ("RS", "ES", "PS") for size in (256, 384, 512))

_ENVIRONMENT = Environment(claims="dyn", user="dyn")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Issuer(_Part):
    """Who signs, and for whom."""

    url: str
    audiences: Annotated[tuple[str, ...], Field(min_length=1)]
    certificate_authority: str = ""
    discovery_url: str = Field("", alias="discoveryURL")
    audience_match_policy: Literal["", "MatchAny"] = ""

    @field_validator("url", "discovery_url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        if url and not url.startswith("https://"):
            raise ValueError("it must begin with https://")
        return url


class Mapping(_Part):
    """Where something stands: in a claim, behind a prefix, or what an expression makes of the claims."""

    claim: str = ""
    prefix: str = ""
    expression: str = ""

    @model_validator(mode="after")
    def _is_one(self) -> Mapping:
        if bool(self.claim) == bool(self.expression):
            raise ValueError("either claim or expression is expected")
        if self.expression and self.prefix:
            raise ValueError("a prefix is part of the expression, if there is one")
        return self

    @field_validator("expression")
    @classmethod
    def _compiles(cls, expression: str) -> str:
        return _checked(expression)


class Extra(_Part):
    """One more thing that authorizers and policies see of the user."""

    key: str
    value_expression: str

    @field_validator("value_expression")
    @classmethod
    def _compiles(cls, expression: str) -> str:
        return _checked(expression)


class ClaimMappings(_Part):
    """Who the user is."""

    username: Mapping
    groups: Mapping | None = None
    uid: Mapping | None = None
    extra: tuple[Extra, ...] = ()


class Rule(_Part):
    """What must hold: a claim has a value, or an expression is true."""

    claim: str = ""
    required_value: str = ""
    expression: str = ""
    message: str = ""

    @field_validator("expression")
    @classmethod
    def _compiles(cls, expression: str) -> str:
        return _checked(expression)

    @model_validator(mode="after")
    def _is_one(self) -> Rule:
        if bool(self.claim) == bool(self.expression):
            raise ValueError("either claim or expression is expected")
        return self


class Trusted(_Part):
    """One issuer, and what its claims mean."""

    issuer: Issuer
    claim_mappings: ClaimMappings
    claim_validation_rules: tuple[Rule, ...] = ()
    user_validation_rules: tuple[Rule, ...] = ()
    # Only the flags narrow them.
    _signing_algorithms: tuple[str, ...] = PrivateAttr(ALGORITHMS)

    @property
    def signing_algorithms(self) -> tuple[str, ...]:
        """By which algorithms a token may be signed."""
        return self._signing_algorithms


class Condition(_Part):
    """A path, as it stands in the request, that needs no credentials."""

    path: Annotated[str, Field(pattern="^/")]


class Anonymous(_Part):
    """Whether, and where, requests without credentials are taken for those of `system:anonymous`."""

    enabled: bool
    conditions: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _is_enabled_where_it_is_conditional(self) -> Anonymous:
        if self.conditions and not self.enabled:
            raise ValueError("enabled should be set to true when conditions are defined")
        return self

    def admits(self, path: str) -> bool:
        """Whether a request for a path may come without credentials."""
        return self.enabled and (not self.conditions or any(each.path == path for each in self.conditions))


class AuthenticationConfiguration(_Part):
    """The whole file."""

    api_version: Literal[
        "apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1"
    ]
    kind: Literal["AuthenticationConfiguration"]
    jwt: tuple[Trusted, ...] = ()
    anonymous: Anonymous | None = None

    @field_validator("jwt")
    @classmethod
    def _are_different(cls, jwt: tuple[Trusted, ...]) -> tuple[Trusted, ...]:
        urls = [each.issuer.url for each in jwt]
        if len(urls) != len(set(urls)):
            raise ValueError("every issuer may be named once")
        return jwt


class Flags(NamedTuple):
    """What the `--oidc-` flags say."""

    issuer_url: str
    client_id: str
    ca_file: Path | None = None
    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""
    signing_algorithms: tuple[str, ...] = ("RS256",)
    required_claims: tuple[str, ...] = ()


def trusted_by_flags(flags: Flags) -> Trusted:
    """The issuer of the flags; ValueError for what makes no sense.

    Without a prefix, names that are not e-mail addresses get the issuer before them; `-` is none at all.
    """
    prefix = flags.username_prefix
    if not prefix and flags.username_claim != "email":
        prefix = flags.issuer_url + "#"
    rules = []
    for text in flags.required_claims:
        claim, equals, value = text.partition("=")
        if not claim or not equals:
            raise ValueError(f"--oidc-required-claim {text!r}: expected CLAIM=VALUE")
        rules.append({"claim": claim, "requiredValue": value})
    unknown = set(flags.signing_algorithms) - set(ALGORITHMS)
    if unknown:
        raise ValueError(f"--oidc-signing-algs {', '.join(sorted(unknown))}: expected some of {', '.join(ALGORITHMS)}")
    authority = flags.ca_file.read_text() if flags.ca_file else ""
    mappings = {"username": {"claim": flags.username_claim, "prefix": "" if prefix == "-" else prefix}}
    if flags.groups_claim:
        mappings["groups"] = {"claim": flags.groups_claim, "prefix": flags.groups_prefix}
    issuer = {"url": flags.issuer_url, "audiences": [flags.client_id], "certificateAuthority": authority}
    said = {"issuer": issuer, "claimMappings": mappings, "claimValidationRules": rules}
    trusted = Trusted.model_validate(said)
    trusted._signing_algorithms = flags.signing_algorithms
    return trusted


def program(expression: str) -> Program | Failure:
    """An expression over `claims` and, once that is known, `user`."""
    return _ENVIRONMENT.compile(expression)


def _checked(expression: str) -> str:
    if expression and isinstance(found := program(expression), Failure):
        raise ValueError(found.message)
    return expression
