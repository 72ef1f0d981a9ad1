"""The channel protocol: messages, statuses and the choice of a version."""

from __future__ import annotations

import contextlib
import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.machinery import channels
from wherry.machinery.channels import (
    CLOSE,
    ERROR,
    SPDY_TUNNEL,
    STDIN,
    STDOUT,
    V4,
    V5,
    Message,
    Outcome,
    TerminalSize,
    choose_exec_protocol,
    choose_port_forward_protocol,
    closed_channel,
    decode,
    decode_resize,
    decode_status,
    encode,
    encode_close,
    encode_resize,
    exit_status,
    failure_status,
    success_status,
)


def test_doctests():
    assert doctest.testmod(channels).failed == 0


@given(st.integers(0, 255), st.binary(max_size=50))
def test_messages_survive_the_wire(channel, data):
    assert decode(encode(channel, data)) == Message(channel, data)


def test_an_empty_message_is_refused_and_empty_data_is_not():
    assert decode(b"\x01") == Message(STDOUT, b"")
    with pytest.raises(ValueError, match="this one is empty"):
        decode(b"")


def test_stdin_ends_with_a_close_message():
    assert encode_close(STDIN) == b"\xff\x00"
    assert closed_channel(decode(encode_close(STDIN))) == STDIN
    with pytest.raises(ValueError, match="names one channel"):
        closed_channel(Message(CLOSE, b""))


@pytest.mark.parametrize(
    ("offered", "exec_protocol", "forward_protocol"),
    [
        ([V5], V5, None),
        ([V4, V5], V5, V4),
        (["v4.base64.channel.k8s.io", V4], V4, V4),
        ([SPDY_TUNNEL], None, SPDY_TUNNEL),
        (["channel.k8s.io"], "channel.k8s.io", None),
        (["base64.channel.k8s.io"], None, None),
        ([], "", ""),
    ],
)
def test_chooses_the_best_protocol_both_know(offered, exec_protocol, forward_protocol):
    assert (choose_exec_protocol(offered), choose_port_forward_protocol(offered)) == (exec_protocol, forward_protocol)


def test_statuses_are_what_kubectl_expects():
    assert json.loads(success_status()) == {"metadata": {}, "status": "Success"}
    assert json.loads(exit_status(7)) == {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: exit status 7",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
    }
    assert json.loads(failure_status("no such container")) == {
        "metadata": {},
        "status": "Failure",
        "message": "Internal error occurred: no such container",
        "reason": "InternalError",
        "details": {"causes": [{"message": "no such container"}]},
        "code": 500,
    }


def test_a_status_tells_how_the_command_ended():
    assert decode_status(exit_status(0)) == Outcome(0)
    assert decode_status(exit_status(137)).exit_code == 137
    assert decode_status(failure_status("gone")) == Outcome(None, "Internal error occurred: gone")


def test_terminal_sizes_survive_the_wire():
    assert decode_resize(encode_resize(TerminalSize(120, 40))) == TerminalSize(120, 40)
    assert decode_resize(b"{}") == TerminalSize(0, 0)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"Width":-1}', b'{"Height":70000}', b'{"Width":"80"}', b'{"Width":true}']
)
def test_refuses_wrong_terminal_sizes(data):
    with pytest.raises(ValueError, match=r"Width|Height|terminal|end of data|empty"):
        decode_resize(data)


@given(
    st.binary(max_size=30) | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_decode_or_are_a_value_error(data):
    for reading in (decode_resize, decode_status):
        with contextlib.suppress(ValueError):
            reading(data)


@pytest.mark.parametrize("details", ["x", {"causes": "x"}, {"causes": [1]}, {"causes": [{"reason": "ExitCode"}]}])
def test_a_malformed_exit_code_is_a_value_error(details):
    status = {"status": "Failure", "reason": "NonZeroExitCode", "details": details}

    with pytest.raises(ValueError, match="exit code"):
        decode_status(json.dumps(status).encode())


def test_error_is_the_status_channel():
    assert encode(ERROR, success_status())[0] == 3
