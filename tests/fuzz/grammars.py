"""What is valid for each parser: lines to start from, and grammars that make more."""

from __future__ import annotations

import base64
from random import Random

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.apiserver.kind_samples import SAMPLES
from tests.fuzz.inputs import Grammar, json_grammar, phrase_grammar
from wherry.api import kinds
from wherry.machinery.resource import kind_named

QUANTITIES = (
    "1\n100m\n1.5Gi\n-0.5\n1e3\n1E-3\n12345678901234567890\n.5\n5.\n0.1n\n1Ki\n3.0e-9\n+7k\n9223372036854775807Ei"
)
QUANTITY = phrase_grammar(
    {
        "top": ("sign·digits·suffix", "sign·digits·.·digits·suffix", "sign·.·digits·suffix", "digits·e·sign·digits"),
        "sign": ("", "-", "+"),
        "digits": ("1", "0", "digits·digits", "9", "05", "123456789"),
        "suffix": ("", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-9"),
    }
)

LABEL_SELECTORS = """
app=web
app==web,tier!=db
environment in (a, b),!gone,kept
x notin (),y in (a,,b)
example.com/name in (v.1_2-3)
count>5,count<9
,
"""
LABEL_SELECTOR = phrase_grammar(
    {
        "top": ("term", "term·,·top", "term·, ·top"),
        "term": (
            "key",
            "!·key",
            "key·=·value",
            "key·!=·value",
            "key· in ·(·values·)",
            "key· notin ·(·values·)",
            "key·>·1",
        ),
        "key": ("app", "tier", "a.b/c", "in", "notin", "count"),
        "values": ("value", "value·,·values"),
        "value": ("web", "", "1", "a_b.c", "-"),
    }
)
FIELD_SELECTORS = "metadata.name=web\nspec.nodeName!=,status.phase==Running\na=b\\,c\\=d\\\\\n,\nmetadata.namespace=a"
QUERIES = """
labelSelector=app%3Dweb%2Ctier+in+%28a%2Cb%29&fieldSelector=metadata.name%3Dweb&limit=500
resourceVersion=12&resourceVersionMatch=NotOlderThan&timeoutSeconds=30
resourceVersion=0
fieldSelector=spec.nodeName%3Dn1,status.phase%21%3DFailed
continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiJhXHUwMDAwIn0&limit=2
labelSelector=%E2%80%A8&labelSelector=b
"""
ACCEPTS = """
application/json;as=Table;v=v1;g=meta.k8s.io,application/json;q=0.9
application/vnd.kubernetes.protobuf, */*
application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json
text/html,application/yaml;q=0.5
application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io
"""

JSON_PATCHES = """
[{"op":"replace","path":"/spec/replicas","value":5}]
[{"op":"add","path":"/spec/template/spec/containers/-","value":{"name":"b","image":"b:1"}}]
[{"op":"test","path":"/spec/replicas","value":3},{"op":"remove","path":"/metadata/labels"}]
[{"op":"move","from":"/metadata/labels","path":"/metadata/annotations"},{"op":"copy","from":"/spec/template","path":"/metadata/labels/a~1b~0c"}]
[{"op":"copy","from":"","path":"/spec/template/spec/containers/0/env"}]
"""
PATCHES = """
{"spec":{"replicas":5,"template":{"spec":{"containers":[{"name":"app","image":"b:2","env":[{"name":"A","value":"1"}]}]}}}}
{"metadata":{"labels":{"a":"b","gone":null},"annotations":null,"finalizers":["x/y"]}}
{"spec":{"template":{"spec":{"containers":[{"$patch":"delete","name":"app"},{"$patch":"replace"}],"$retainKeys":["containers"]}}}}
{"metadata":{"$deleteFromPrimitiveList/finalizers":["a/b"],"$setElementOrder/finalizers":["c/d"]}}
{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"app"}],"containers":[{"name":"b","image":"c"}]}}}}
"""
APPLIED = """
{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"a":"b"}},"spec":{"replicas":2}}
{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"x","ports":[{"containerPort":80}]}]}}}}
apiVersion: apps/v1
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, finalizers: [x/y]}, spec: {strategy: {type: Recreate}}}
"""
METADATA = """
{"name":"web","namespace":"default","managedFields":[{"manager":"k","operation":"Apply","apiVersion":"apps/v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{},"k:{\\"name\\":\\"a\\"}":{".":{}},"v:1":{}}}}]}
{"name":"web","ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"b","controller":true}],"generation":1}
"""
_FIELD_WORDS = """
    metadata spec status name namespace labels annotations finalizers ownerReferences managedFields resourceVersion uid
    kind apiVersion creationTimestamp generateName selector matchLabels matchExpressions template containers env ports
    replicas strategy rollingUpdate maxSurge volumes resources requests limits image nodeName tolerations affinity
    securityContext data value valueFrom fieldRef key operator values containerPort protocol command args fieldsV1
    f:spec $patch $retainKeys $setElementOrder/containers $deleteFromPrimitiveList/finalizers
"""
_FIELDS = _FIELD_WORDS.split()
_VALUES = [
    "apps/v1",
    "Deployment",
    "v1",
    "Pod",
    "web",
    "app",
    "100m",
    "25%",
    80,
    "delete",
    "replace",
    "merge",
    "2026-01-01T00:00:00Z",
]
_PLACES = (
    "/spec",
    "/spec/replicas",
    "/metadata/labels/app",
    "/spec/template/spec/containers/0",
    "",
    "/-",
    "/a~1b",
    "/a~2",
)
_STEPS = [{"op": op, "path": "/spec/template", "from": place} for op in ("copy", "move", "remove") for place in _PLACES]
_STEPS += [
    {"op": op, "path": place, "value": {"a": [1]}} for op in ("add", "replace", "test", "odd") for place in _PLACES
]


def lines(text: str) -> list[bytes]:
    """One valid input a line."""
    return [line.strip().encode() for line in text.strip().splitlines()]


JSON_PATCH = json_grammar(lines(JSON_PATCHES), ["op", "path", "from", "value"], ["add", "copy", *_PLACES, *_STEPS])
PATCH = json_grammar(lines(PATCHES), _FIELDS, _VALUES)
CONFIGURATION = json_grammar(lines(APPLIED)[:2], _FIELDS, _VALUES)
OWNED = json_grammar(lines(METADATA), _FIELDS, _VALUES)
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}, "annotations": {"a/b": "c"}},
    "spec": {
        "containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 80}], "env": [{"name": "A"}]}],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
        "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 300}],
    },
}
OBJECT = json_grammar([orjson.dumps(POD)], _FIELDS, _VALUES)

EXPRESSIONS = """
object.metadata.name == 'web'
object.spec.containers.all(c, c.image.startsWith('app:') && !has(c.securityContext))
size(object.metadata.labels) > 0 ? object.metadata.labels['app'] : 'none'
object.spec.containers.map(c, c.name).filter(n, n.matches('^[a-z]+$')).exists_one(n, n == 'app')
[1, 2, 3].sum() + int('7') * 2 - 3 % 2 >= 1.5
quantity('1Gi').isGreaterThan(quantity('512Mi')) && duration('1h') > duration('59m')
timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026
url('https://a/b?c=d').getHost() != '' || ip('10.0.0.1').family() == 4 || cidr('10.0.0.0/8').containsIP('10.1.1.1')
'a,b'.split(',').join('-').replace('a', 'b').upperAscii().lowerAscii().substring(1).indexOf('b') == 1
{'a': {'b': [1u, b'x', null, true]}}.a.b[0] == 1u
oldObject == null || object.spec == oldObject.spec
semver('1.2.3').isLessThan(semver('2.0.0')) && 'x'.find('[a-z]+') == 'x'
optional.of(1).orValue(2) == 1 && object.?spec.?none.hasValue() == false
"""
EXPRESSION = phrase_grammar(
    {
        "top": (
            "atom",
            "top· ·operator· ·top",
            "(·top·)",
            "!·top",
            "top· ? ·top· : ·top",
            "top·call",
            "list·fold",
            "-·top",
        ),
        "atom": (
            "1",
            "'a'",
            "object",
            "true",
            "null",
            "1.5",
            "2u",
            "b'x'",
            "x",
            "object.spec.containers",
            "[1, 2]",
            "{'a': 1}",
        ),
        "operator": ("&&", "||", "==", "!=", "<", ">=", "+", "-", "*", "/", "%", "in"),
        "call": (
            ".size()",
            ".name",
            "['a']",
            "[0]",
            ".contains('a')",
            ".matches('a*')",
            ".split('')",
            ".replace('a', 'aa')",
            ".x",
        ),
        "list": ("[1]", "[1, 2, 3]", "object.spec.containers", "['a', 'b']", "[atom, atom]"),
        "fold": (".all(x, ·top·)", ".map(x, ·top·)", ".filter(x, ·top·)", ".exists(x, ·top·)"),
    }
)
TIMES = "2026-11-22T17:57:38Z\n2026-11-22T17:57:38.123456789+01:00\n0001-01-01T00:00:00Z\n9999-12-31T23:59:60-23:59"
DURATIONS = "1h30m\n-1.5s\n300ms\n0\n1us2ns\n9223372036.854775807s\n.5h\n1µs\n2562047h47m16.854775807s"
SCHEDULES = (
    "*/5 * * * *\n0 0 29 2 *\n1-5,7/2 0-23/3 ? JAN-DEC MON,SUN\n@hourly\n@every 1h30m\nTZ=UTC 0 0 * * *\n0 0 31 2 *"
)
SCHEDULE = phrase_grammar(
    {
        "top": ("part· ·part· ·part· ·part· ·part", "@every ·number·m", "@·word"),
        "part": ("*", "number", "number·-·number", "part·/·number", "part·,·part", "?", "word"),
        "number": ("1", "0", "7", "31", "59", "60"),
        "word": ("daily", "JAN", "mon", "sun", "yearly", "SAT"),
    }
)
NAMES = "web-1\nexample.com/name\n*.example.com\nA_B.c\n10.0.0.1\n2001:db8::1\n10.0.0.0/8\n25%\nhttp\n::ffff:1.2.3.4/96"
FORMATTED = """
2026-11-22T17:57:38Z
10.0.0.0/8
2001:db8::/32
https://user@example.com:80/a?b=c#d
a.b+c@example.com
8c5b2a9e-1f1b-4a43-9c0e-0f2b7f3f8d11
00:1a:2b:3c:4d:5e
aGVsbG8=
1h30m
"""
PATHS = """
.spec.containers[0].name
{.metadata.labels['a.b/c']}
$.spec.containers[*].ports[?(@.containerPort==80)].containerPort
.spec.tolerations[?(@.key)].tolerationSeconds
.metadata.labels.app\\.kubernetes\\.io/name
.spec.containers[-1]["image"]
"""
HOSTS = (
    "web.default.svc.cluster.local",
    "db.default.svc.cluster.local",
    "_http._tcp.web.default.svc.cluster.local",
    "example.com",
)


def _certificate_request() -> bytes:
    # A key that is always the same, so that a seed always makes the same inputs.
    key = ec.derive_private_key(12345, ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n1")])
    names = x509.SubjectAlternativeName([x509.DNSName("n1")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(serialization.Encoding.PEM)


CERTIFICATE_REQUEST = _certificate_request()

_MAPS = b"/api/v1/namespaces/default/configmaps"
_WEB = b"/apis/apps/v1/namespaces/default/deployments/web"
_MAP = b'{"metadata":{"name":"made"},"data":{"a":"b"}}'


def _request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    length = [b"Content-Length: %d" % len(body)] if body else []
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: apiserver", *headers, *length, b"", body])


def _chunked(line: bytes, *headers: bytes, body: bytes) -> bytes:
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]))
    return _request(line, b"Transfer-Encoding: chunked", *headers) + chunks + b"0\r\n\r\n"


def _token(start: str) -> bytes:
    return base64.urlsafe_b64encode(orjson.dumps({"v": "meta.k8s.io/v1", "rv": 5, "start": start + "\0"})).rstrip(b"=")


_JSON = b"Content-Type: application/json"
_HEADERS = (
    *(
        b"Accept: application/json;as=Table;v=v1;g=meta.k8s.io",
        b"Accept: application/yaml",
        b"Accept: application/vnd.kubernetes.protobuf",
    ),
    *(
        b"Impersonate-User: jane",
        b"Impersonate-Uid: 7",
        b"User-Agent: kubectl/v1.37.0",
        b"Connection: close",
        b"Audit-ID: x",
    ),
    *(
        b"Accept-Encoding: gzip",
        b"If-None-Match: *",
        b"Content-Encoding: gzip",
        b"X-Forwarded-For: ::1",
        b"Expect: 100-continue",
    ),
)
_QUERIES = (
    *(
        b"fieldValidation=Strict",
        b"force=true",
        b"pretty=1",
        b"limit=1",
        b"limit=-1",
        b"resourceVersion=1",
        b"resourceVersion=99999",
    ),
    *(
        b"fieldManager=",
        b"fieldManager=a%00b",
        b"gracePeriodSeconds=-1",
        b"propagationPolicy=Orphan",
        b"timeout=1ns",
        b"watch=0",
    ),
    *(
        b"labelSelector=a+in+(b)",
        b"fieldSelector=metadata.name%3Da",
        b"continue=" + _token("a"),
        b"resourceVersionMatch=Exact",
    ),
)
_PATCH_TYPES = ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")


def _samples() -> list[tuple[bytes, bytes, Grammar]]:
    """Of each kind where its objects are, where one of them is, and a grammar of bodies for it."""
    kinds.load()
    found = []
    for known, sample in SAMPLES.items():
        api_version, name = known.split()
        cls = kind_named(api_version, name)
        if cls is not None:
            metadata = {"name": sample.name, "labels": {"a": "b"}, "annotations": {"a/b": "c"}}
            body = {"apiVersion": api_version, "kind": name, "metadata": metadata, **sample.fields}
            one = cls.kind.path("default", sample.name).encode()
            found.append((cls.kind.path("default").encode(), one, json_grammar([orjson.dumps(body)], _FIELDS, _VALUES)))
    return [*found, (_MAPS, _MAPS + b"/kept", json_grammar([_MAP], _FIELDS, _VALUES)), (_WEB, _WEB, PATCH)]


_SAMPLES = _samples()


def connection(chance: Random) -> bytes:
    """One or two requests that are sound as HTTP; who writes does so to no effect."""
    requests = []
    for _ in range(1 + (chance.random() < 0.1)):
        collection, one, grammar = chance.choice(_SAMPLES)
        method = chance.choice((b"GET", b"POST", b"POST", b"PUT", b"PATCH", b"DELETE"))
        path = (
            collection
            if method == b"POST"
            else one
            if chance.random() < 0.7
            else chance.choice((collection, _WEB, _MAPS + b"/kept"))
        )
        query = b"&".join((b"dryRun=All", *chance.sample(_QUERIES, int(chance.random() * 3))))
        headers = chance.sample(_HEADERS, int(chance.random() * 3))
        media = f"application/{chance.choice(_PATCH_TYPES)}".encode() if method == b"PATCH" else b"application/json"
        body = JSON_PATCH(chance) if b"json-patch" in media else grammar(chance)
        make = _chunked if chance.random() < 0.4 else _request
        made = make(
            b"%b %b?%b" % (method, path, query),
            b"Content-Type: " + media,
            *headers,
            body=b"" if method == b"GET" else body,
        )
        requests.append(made)
    return b"".join(requests)


CONNECTIONS = [
    _request(b"GET /version"),
    _request(b"GET " + _MAPS + b"?limit=1&continue=" + _token("default/kept")),
    _request(b"GET " + _MAPS + b"/kept?pretty=1", b"Accept: application/json;as=Table;v=v1;g=meta.k8s.io"),
    _request(b"GET " + _MAPS + b"?watch=1&resourceVersion=1&timeoutSeconds=1&allowWatchBookmarks=1"),
    _request(b"GET " + _WEB, b"Accept: application/vnd.kubernetes.protobuf", b"Accept-Encoding: gzip"),
    _request(b"GET /apis", b"Authorization: Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJhIn0.c2ln"),
    _request(b"GET /api", b"Impersonate-User: jane", b"Impersonate-Group: dev", b"Impersonate-Extra-a%2Fb: c"),
    _request(b"POST " + _MAPS + b"?dryRun=All&fieldValidation=Strict", _JSON, body=_MAP),
    _chunked(b"POST " + _MAPS + b"?dryRun=All", _JSON, body=_MAP),
    _chunked(
        b"PATCH " + _WEB + b"?dryRun=All",
        b"Content-Type: application/merge-patch+json",
        body=b'{"spec":{"replicas":2}}',
    ),
    _request(
        b"PUT " + _MAPS + b"/kept?dryRun=All", _JSON, b"Expect: 100-continue", body=_MAP.replace(b"made", b"kept")
    ),
    _request(
        b"DELETE " + _MAPS + b"/kept?dryRun=All",
        _JSON,
        body=b'{"propagationPolicy":"Foreground","gracePeriodSeconds":0}',
    ),
    _request(
        b"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        _JSON,
        body=b'{"spec":{"resourceAttributes":{"verb":"get"}}}',
    ),
    _request(
        b"GET /api/v1/namespaces/default/pods/a/exec?command=ls&stdout=1", b"Connection: Upgrade", b"Upgrade: SPDY/3.1"
    ),
    _request(b"OPTIONS *", b"Connection: close") + _request(b"GET /healthz"),
    _request(b"GET /readyz?verbose", b"Audit-ID: a") + _request(b"GET /openapi/v3") + _request(b"HEAD /livez"),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]
