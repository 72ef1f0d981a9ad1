"""Chance fetched in advance: numbers of the right size, and none of them twice."""

import pytest

from apiserver.writing.entropy import POOL_BYTES, Entropy


def test_numbers_have_as_many_bits_as_were_asked_for_and_come_once():
    entropy = Entropy()

    numbers = [entropy.getrandbits(128) for _ in range(POOL_BYTES)]
    parts = [entropy.random() for _ in range(POOL_BYTES)]

    assert len(set(numbers)) == len(numbers)
    assert 120 < max(map(int.bit_length, numbers)) <= 128
    assert all(0 <= part < 1 for part in parts)
    assert {entropy.getrandbits(1) for _ in range(64)} == {0, 1}
    assert [entropy.getrandbits(0), entropy.getrandbits(16 * POOL_BYTES) > 0] == [0, True]


def test_a_negative_number_of_bits_is_refused():
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        Entropy().getrandbits(-1)
