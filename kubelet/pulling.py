"""Fetch a container's image in the background and tell the pod how it went. Kubernetes: EnsureImageExists."""

from __future__ import annotations

import asyncio
from datetime import datetime

from kubelet.charge import Charge
from kubelet.images import Pause, credentials_for
from kubelet.runtime.base import RuntimeFailure
from kubelet.seen import Trouble
from kubelet.supplies.objects import pull_secrets
from wherry.api.core.pod import Container
from wherry.client import clock
from wherry.machinery.errors import ApiError

# Long enough for a watcher to see why, before the reason becomes that we wait.
_ERROR_SHOWN_SECONDS = 2


async def pull(charge: Charge, container: Container, attempt: int) -> None:
    """Ends with the image there, or with the container in trouble until its pause is over."""
    image, started_at = container.image, clock.now()
    charge.tell("Pulling", f'Pulling image "{image}"', container=container.name)
    try:
        credentials = credentials_for(image, await pull_secrets(charge.pod, charge.host.objects))
        await charge.host.images.pull(image, credentials)
    except (RuntimeFailure, ApiError) as error:
        _fail(charge, container, str(error), charge.host.images.failed(charge.uid, image, str(error)))
    else:
        charge.host.images.succeeded(charge.uid, image)
        charge.pulled_for[container.name] = attempt
        charge.troubles.pop(container.name, None)
        done = f'Successfully pulled image "{image}" in {_seconds_since(started_at):.3g}s'
        charge.tell("Pulled", done, container=container.name)
    finally:
        charge.pulling.discard(container.name)
        charge.wake()


def _seconds_since(at: datetime) -> float:
    return (clock.now() - at).total_seconds()


def _fail(charge: Charge, container: Container, error: str, pause: Pause) -> None:
    message = f'failed to pull image "{container.image}": {error}'
    charge.tell("Failed", f'Failed to pull image "{container.image}": {error}', "Warning", container=container.name)
    charge.tell("Failed", "Error: ErrImagePull", "Warning", container=container.name)
    charge.troubles[container.name] = Trouble("ErrImagePull", message, pause.until)
    charge.spawn(_then_back_off(charge, container, message))


async def _then_back_off(charge: Charge, container: Container, message: str) -> None:
    """Let people see the error itself first; from then on, that we are waiting."""
    await asyncio.sleep(_ERROR_SHOWN_SECONDS)
    trouble = charge.troubles.get(container.name)
    if trouble is None or trouble.reason != "ErrImagePull":
        return
    waiting = f'Back-off pulling image "{container.image}"'
    charge.tell("BackOff", waiting, container=container.name)
    charge.tell("Failed", "Error: ImagePullBackOff", "Warning", container=container.name)
    charge.troubles[container.name] = Trouble("ImagePullBackOff", f"{waiting}: ErrImagePull: {message}", trouble.until)
    charge.wake()
