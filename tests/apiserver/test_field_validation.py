"""Unknown and duplicate fields: refused, warned of or ignored; and bodies that are hostile, not only wrong."""

import time

import pytest

from tests.apiserver.local_api import APPS, CORE, JSON_PATCH, Api
from tests.apiserver.test_objects import MAPS, a_deployment, a_map

TWICE = b'{"metadata":{"name":"a","shoe":1},"data":{"k":"v","k":"w"},"datas":{}}'
PROBLEMS = ['unknown field "datas"', 'unknown field "metadata.shoe"', 'duplicate field "data.k"']


async def test_strict_refuses_and_names_every_problem(api: Api):
    answer = await api.post(MAPS, TWICE, query={"fieldValidation": "Strict"})

    prefix = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
    assert answer.error[:2] == (400, "BadRequest")
    assert answer.json["message"].startswith(prefix)
    assert sorted(answer.json["message"].removeprefix(prefix).split(", ")) == sorted(PROBLEMS)
    assert (await api.get(f"{MAPS}/a")).status == 404


@pytest.mark.parametrize("query", [{}, {"fieldValidation": "Warn"}])
async def test_warn_drops_the_fields_and_says_so_in_headers(api: Api, query: dict):
    answer = await api.post(MAPS, TWICE, query=query)

    expected = ['299 - "{}"'.format(text.replace('"', r"\"")) for text in PROBLEMS]
    assert (answer.status, answer.json["data"], "datas" in answer.json) == (201, {"k": "w"}, False)
    assert sorted(answer.all("warning")) == sorted(expected)


@pytest.mark.parametrize(("letters", "count"), [(1, 64), (60, 54), (300, 16)])
async def test_there_are_no_more_warnings_than_clients_can_read(api: Api, letters: int, count: int):
    answer = await api.post(MAPS, a_map() | {f"{number:03}".ljust(letters, "x"): 1 for number in range(200)})

    texts = answer.all("warning")
    assert (answer.status, len(texts)) == (201, count)
    assert sum(len(text) for text in texts) < 4096 + 12 * count + 256


async def test_ignore_is_silent(api: Api):
    answer = await api.post(MAPS, TWICE, query={"fieldValidation": "Ignore"})

    assert (answer.status, answer.all("warning")) == (201, [])


async def test_any_other_word_is_refused(api: Api):
    answer = await api.post(MAPS, a_map(), query={"fieldValidation": "Maybe"})

    assert answer.error[:2] == (422, "Invalid")


async def test_patches_are_validated_after_they_are_applied(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment())
    steps = [{"op": "add", "path": "/spec/replica", "value": 3}]

    strict = await api.patch(f"{APPS}/deployments/web", steps, JSON_PATCH, query={"fieldValidation": "Strict"})
    warned = await api.patch(f"{APPS}/deployments/web", {"spec": {"replica": 3}})

    assert (strict.status, 'unknown field "spec.replica"' in strict.json["message"]) == (422, True)
    assert warned.all("warning") == [r'299 - "unknown field \"spec.replica\""']


async def test_duplicates_in_yaml_are_found_too(api: Api):
    body = b"metadata:\n  name: a\ndata:\n  k: v\n  k: w\n"

    answer = await api.post(
        MAPS, body, headers={"content-type": "application/yaml"}, query={"fieldValidation": "Strict"}
    )

    assert (answer.status, 'duplicate field "data.k"' in answer.json["message"]) == (400, True)


@pytest.mark.parametrize(
    "quantity", ["9e999999999", "1e-999999999", "1" * 100_000, "1e" + "9" * 1000, "0." + "0" * 100_000 + "1", "-1", "x"]
)
async def test_a_quantity_is_judged_in_an_instant_however_it_looks(api: Api, quantity: str):
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": quantity}}}
    began = time.process_time()

    answer = await api.post(f"{CORE}/pods", {"metadata": {"name": "p"}, "spec": {"containers": [container]}})

    assert answer.status in (201, 400, 422)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("depth", [300, 20_000])
@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
async def test_deep_nesting_is_a_400(api: Api, opening: bytes, closing: bytes, depth: int):
    nested = opening * depth + b"1" + closing * depth
    body = b'{"metadata":{"name":"a"},"data":' + nested + b"}"

    made = await api.post(MAPS, body)
    await api.made(MAPS, a_map("b"))
    patched = await api.patch(f"{MAPS}/b", b'{"data":' + nested + b"}")
    twice = await api.post(MAPS, body.replace(b'"data"', b'"metadata":{"name":"c"},"data"'))

    assert {made.status, patched.status, twice.status} <= {400, 413, 422}


async def test_yaml_that_grows_by_aliases_is_refused(api: Api):
    body = b"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nmetadata: {name: a}\n"

    answer = await api.post(MAPS, body, headers={"content-type": "application/yaml"})

    assert answer.error[:2] == (400, "BadRequest")


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata":{"name":"a"},"data":{"k":"\\ud800"}}',
        b'{"metadata":{"name":"a"},"data":{"k":"\xff"}}',
        b'{"metadata":{"name":"\\u0000"}}',
        b'{"metadata":{"name":"a","labels":{"":""}}}',
        b'{"metadata":{"name":"a","labels":{"k":{}}}}',
        b'{"metadata":{"name":"a","ownerReferences":[null]}}',
        b'{"metadata":{"name":"a","finalizers":[null,""]}}',
        b'{"metadata":{"name":"a","annotations":{"k":5}}}',
        b'{"metadata":"a"}',
        b'{"metadata":{"name":5}}',
        b'{"metadata":{"name":"a","creationTimestamp":"soon"}}',
        b'{"metadata":{"name":"a","generation":1e400}}',
        b'{"metadata":{"name":"a","generation":99999999999999999999999}}',
        b"NaN",
        b"\x00",
    ],
)
async def test_broken_values_are_a_4xx(api: Api, body: bytes):
    answer = await api.post(MAPS, body, query={"fieldValidation": "Strict"})

    assert 400 <= answer.status < 500, answer.body


@pytest.mark.parametrize("piece", [b"[", b"{a: ", b"- ", b"? "])
async def test_yaml_that_nests_without_end_is_refused_at_once(api: Api, piece: bytes):
    began = time.process_time()

    answer = await api.post(MAPS, piece * 500_000, headers={"content-type": "application/yaml"})

    assert answer.error[:2] == (400, "BadRequest")
    assert time.process_time() - began < 1


async def test_three_mebibytes_are_the_limit(api: Api):
    answer = await api.post(MAPS, {**a_map(), "data": {"k": "v" * (3 * 1024 * 1024)}})

    message = "Request entity too large: limit is 3145728"
    assert answer.error == (413, "RequestEntityTooLarge", message)


async def test_an_unknown_content_type_is_a_415(api: Api):
    answer = await api.post(MAPS, b"<a/>", headers={"content-type": "application/xml"})

    assert answer.error[:2] == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("type", ["application/json; charset=utf-8", "APPLICATION/JSON", ""])
async def test_the_content_type_is_read_as_http_reads_it(api: Api, type: str):
    answer = await api.post(MAPS, a_map(), headers={"content-type": type})

    assert answer.status == 201


@pytest.mark.parametrize(
    "data",
    [
        *("{1: 2}", "{? [a] : b}", "{k: !!binary aGk=}", "!!set {a, b}", "{k: .nan}", "{k: 2026-01-01}", "{k: 1:30}"),
        *("{null: a}", "{true: a}", "{k: " + "9" * 5000 + "}", "[" * 20_000, "{a: " * 20_000, "&a [*a]"),
        *("{k: !!timestamp 2026-01-01}", "{k: !!str x, ? !!int 7 : y}", "!!omap [a: 1]", "!!python/name:os.system"),
    ],
)
async def test_what_only_yaml_can_say_is_no_500(api: Api, data: str):
    body = f"metadata: {{name: a}}\ndata: {data}\n".encode()

    answer = await api.post(MAPS, body, headers={"content-type": "application/yaml"})

    assert answer.status in (201, 400, 422), answer.body
