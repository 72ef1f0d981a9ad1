"""A Docker of which there is as much as a cluster without pods leaves in it."""

from typing import Any

import docker.errors

OURS = "io.wherry.started-by=wherry"


class FakeEngine:
    """Networks, and the label by which a daemon is known to be started by `up`."""

    def __init__(self, *networks: dict[str, Any], labels: tuple[str, ...] = ()) -> None:
        self.made = list(networks)
        self.labels = list(labels)

    def networks(self, names: Any = ()) -> list[dict[str, Any]]:
        return [network for network in self.made if not names or network["Name"] in names]

    def create_network(self, name: str, *, ipam: Any, labels: dict[str, str], **_: Any) -> dict[str, str]:
        config = [{"Subnet": ipam["Config"][0]["Subnet"]}]
        self.made.append({"Name": name, "Id": name, "Labels": labels, "IPAM": {"Config": config}})
        return {"Id": name}

    def inspect_network(self, name: str) -> dict[str, Any]:
        return next(network for network in self.made if network["Id"] == name)

    def remove_network(self, name: str) -> None:
        if not any(network["Id"] == name for network in self.made):
            raise docker.errors.NotFound("404")
        self.made = [network for network in self.made if network["Id"] != name]

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return []

    def images(self, **_: Any) -> list[dict[str, Any]]:
        return []

    def info(self) -> dict[str, Any]:
        return {"Labels": self.labels}
