"""Volume types: one file per way to give a pod files, each a class with its JSON key and `mount(host, path)`.

Importing the package registers every type; to add one, add its file. Belongs here: what ends up in a directory, and
how. Never belongs here: pods, containers or the API client; what a volume needs of its node it asks of a `Host`.
"""

from __future__ import annotations

import importlib
import pkgutil

from wherry.volumes.base import Host, MountFailed, Token, VolumeType, volume_type

__all__ = ["Host", "MountFailed", "Token", "VolumeType", "volume_type"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
