"""How a call may end, in gRPC's numbers."""

from enum import IntEnum


class Code(IntEnum):
    """A status code.

    >>> str(Code(4)), str(Code.OK)
    ('DeadlineExceeded', 'OK')
    """

    OK = 0
    CANCELED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    def __str__(self) -> str:
        """As grpc-go names it."""
        return self.name if self is Code.OK else self.name.title().replace("_", "")


def named(code: int) -> str:
    """What grpc-go prints for a code, whether or not there is one.

    >>> named(5), named(99)
    ('NotFound', 'Code(99)')
    """
    return str(Code(code)) if code < len(Code) else f"Code({code})"
