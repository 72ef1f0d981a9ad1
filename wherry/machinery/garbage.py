"""Looking for cyclic garbage, in processes that keep much and make little of it.

Nearly all that ends here ends at once, by Python's count of references. What is left to the collector is rare, while
what it looks through is large: caches of all pods. So it looks seldom, and seldom again at what stays.
"""

from __future__ import annotations

import gc

# How many objects more there are until it looks at the newest, and how often until it looks at those that are older. A
# look at the newest takes a millisecond, so that no request waits long for it. Everything comes after a hundred of the
# latter, whatever this says.
NEWEST, OLDER = 5_000, 500
# Of so many looks at everything, one is at what had stayed before, too: of that, cycles have ended since.
WHOLE_EVERY = 10


def look_seldom(newest: int = NEWEST, older: int = OLDER) -> None:
    """For the rest of this process. What has been made until now is taken to stay."""
    gc.set_threshold(newest, older, 100)
    gc.freeze()
    # One at a time: a process that was forked has its parent's, too.
    gc.callbacks[:] = [each for each in gc.callbacks if not isinstance(each, _KeepWhatStayed)]
    gc.callbacks.append(_KeepWhatStayed())


class _KeepWhatStayed:
    # After a look at everything, what is left is in use. To look at it again would take as long for next to nothing:
    # with ten thousand pods, a twentieth of a second in which nothing else happens.

    def __init__(self) -> None:
        self._looks = 0

    def __call__(self, phase: str, told: dict[str, int]) -> None:
        if told["generation"] < 2:
            return
        if phase == "stop":
            gc.freeze()
            return
        self._looks += 1
        if self._looks % WHOLE_EVERY == 0:
            gc.unfreeze()
