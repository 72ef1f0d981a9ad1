"""Long answers are made in slices, between which others have their turn."""

import asyncio
from typing import Any

import orjson
import pytest
import yaml

from apiserver.app import SLICE_BYTES, _send_response
from apiserver.fairness.slices import others_first
from apiserver.reading import listing, representation
from apiserver.request import Request, Response
from tests.apiserver.local_api import CORE, TABLE, Api

MAPS = f"{CORE}/configmaps"
BROWSER = {"user-agent": "curl/8.0"}


async def test_of_many_who_work_in_slices_one_has_its_slice_in_a_turn():
    turn, seen = 0, []

    async def works() -> None:
        for _ in range(3):
            await others_first()
            seen.append(turn)

    working = asyncio.gather(*(works() for _ in range(5)))
    while not working.done():
        turn += 1
        await asyncio.sleep(0)

    assert (len(seen), len(set(seen))) == (15, 15)


async def test_who_leaves_the_line_keeps_nobody():
    gone, stays = asyncio.ensure_future(others_first()), asyncio.ensure_future(others_first())
    await asyncio.sleep(0)

    gone.cancel()

    await asyncio.wait_for(stays, 1)


async def test_of_many_whose_clients_read_again_at_once_one_is_written_to_in_a_turn():
    turn, written, reads = 0, list[int](), asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            return
        await reads.wait()
        if message.get("body"):
            written.append(turn)

    request = Request.of({"headers": [], "path": CORE}, asyncio.Event().wait)  # type: ignore[arg-type]
    answers = [_send_response(Response(200, b"x" * 2 * SLICE_BYTES), request, send) for _ in range(5)]
    answering = asyncio.gather(*answers)
    for _ in range(20):
        await asyncio.sleep(0)
    reads.set()
    while not answering.done():
        turn += 1
        await asyncio.sleep(0)
    await answering

    assert (len(written), len(set(written))) == (10, 10)


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("accept", ["application/json", TABLE])
async def test_lists_in_other_styles_read_as_if_they_were_written_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch, accept: str, count: int
):
    monkeypatch.setattr(representation, "ENCODED_AT_A_TIME", 2)
    for number in range(count):
        await api.made(MAPS, {"metadata": {"name": f"m{number}"}, "data": {"a": 'x\n  - y: {}\n\ttab é "quoted"'}})
    query = {"labelSelector": "!kubernetes.io/description", "fieldSelector": "metadata.name!=kube-root-ca.crt"}
    plain = (await api.get(MAPS, headers={"accept": accept}, query=query)).json

    pretty = await api.get(MAPS, headers={"accept": accept, **BROWSER}, query=query)
    in_yaml = await api.get(MAPS, headers={"accept": accept.replace("/json", "/yaml")}, query=query)

    assert pretty.body == orjson.dumps(plain, option=orjson.OPT_INDENT_2) + b"\n"
    if accept != TABLE:
        assert in_yaml.body == yaml.dump(plain, Dumper=yaml.CSafeDumper, sort_keys=False, encoding="utf-8")
        assert in_yaml.header("content-type") == "application/yaml"


async def test_what_was_deleted_together_is_told_in_the_wanted_form(api: Api):
    for name in "ab":
        await api.made(MAPS, {"metadata": {"name": name}})

    told = await api.delete(MAPS, headers={"accept": TABLE}, query={"fieldSelector": "metadata.name!=kube-root-ca.crt"})

    assert (told.json["kind"], [row["cells"][0] for row in told.json["rows"]]) == ("Table", ["a", "b"])


async def test_many_who_list_much_at_once_begin_one_after_the_other(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "MANY", 1)
    for number in range(3):
        await api.made(MAPS, {"metadata": {"name": f"m{number}"}})

    answers = await asyncio.gather(*(api.get(MAPS) for _ in range(5)))

    assert {len(answer.json["items"]) for answer in answers} == {3}
