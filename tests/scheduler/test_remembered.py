"""What is worked out once is kept with the object, and not with its class."""

from scheduler.pods.remembered import remembered


class Counting:
    asked = 0

    @remembered
    def number(self) -> int:
        """How often it was asked for."""
        self.asked += 1
        return self.asked


def test_it_is_worked_out_when_first_read_and_only_once_for_each_object():
    one, other = Counting(), Counting()

    assert (one.asked, one.number, one.number, one.asked) == (0, 1, 1, 1)
    assert (other.number, Counting.number.__doc__) == (1, "How often it was asked for.")
