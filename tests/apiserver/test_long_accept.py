"""Accept headers as long as headers may be."""

import time

import pytest

from apiserver.protocols.http import MAX_HEADER_BYTES
from apiserver.reading.negotiation import aggregated_discovery, negotiate
from wherry.machinery.errors import NotAcceptable


@pytest.mark.parametrize("piece", ["a,", ";q", "text/html;q=0.1, "])
def test_a_header_of_a_megabyte_takes_no_time(piece: str):
    header = piece * (MAX_HEADER_BYTES // len(piece))
    begun = time.process_time()

    with pytest.raises(NotAcceptable):
        negotiate(header)

    assert aggregated_discovery(header) is None
    assert time.process_time() - begun < 0.1


def test_what_stands_first_in_a_long_header_counts():
    assert negotiate("application/yaml," + "a," * 100_000).media_type == "application/yaml"
