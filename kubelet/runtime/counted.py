"""A runtime whose operations are counted: how many, how long, how many failed. Kubernetes: kuberuntime, instrumented.

operations = Operations()
runtime = operations.counting(Docker(…))
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

from kubelet.runtime.base import Runtime
from wherry.client.serving.counting import Histogram

# Kubernetes: 5 ms to 12 minutes.
_BOUNDS = tuple(0.005 * 2.5**power for power in range(14))
# Our operations, and what the interface of container runtimes calls them.
_NAMES = {
    "engine": "version",
    "inventory": "list_containers",
    "create_sandbox": "run_podsandbox",
    "create_container": "create_container",
    "start": "start_container",
    "resize": "update_container",
    "signal": "stop_container",
    "remove": "remove_container",
    "image": "image_status",
    "images": "list_images",
    "pull": "pull_image",
    "usage": "list_container_stats",
    "run": "exec_sync",
    "exec": "exec",
    "attach": "attach",
}


class Operations:
    """What was done so far, by Kubernetes' names."""

    def __init__(self) -> None:
        self.seconds: dict[str, Histogram] = {}
        self.errors: Counter[str] = Counter()

    def counting(self, runtime: Runtime) -> Runtime:
        """The same runtime, seen through the counters; streams without an end are not counted."""
        return cast(Runtime, _Counted(runtime, self))

    def counted(self, runtime: Runtime, method: str) -> Callable[..., Awaitable[Any]]:
        """The same operation, counted."""
        name = _NAMES[method]

        async def do(*args: Any, **kwargs: Any) -> Any:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            try:
                return await getattr(runtime, method)(*args, **kwargs)
            except Exception:
                self.errors[name] += 1
                raise
            finally:
                if name not in self.seconds:
                    self.seconds[name] = Histogram(_BOUNDS)
                self.seconds[name].observe(loop.time() - begun)

        return do


class _Counted:
    def __init__(self, runtime: Runtime, operations: Operations) -> None:
        self._runtime = runtime
        for method in _NAMES:
            setattr(self, method, operations.counted(runtime, method))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)
