"""The fake API server with the verbs only the scheduler uses: bindings, and conditions merged by type."""

from typing import Any

from fake_api import FakeApi

from wherry.api.core.binding import Binding
from wherry.api.core.pod import Pod
from wherry.machinery import errors


class BindingApi(FakeApi):
    """Bindings as the API server makes them: once, and only for the uid they name; in batches, unless told not to."""

    takes_batches = True

    def _answer(self, method: str, place: Any, query: Any, body: Any) -> Any:
        if method == "POST" and not place.namespace and self.takes_batches:
            return {"kind": "List", "items": [self._outcome(place, item) for item in body["items"]]}
        if method == "POST" and place.subresource == "binding":
            return self._bind((place.kind, place.namespace, place.name), body)
        if method == "PATCH" and place.subresource == "status":
            body = {**body, "status": self._merged_status((place.kind, place.namespace, place.name), body["status"])}
        return super()._answer(method, place, query, body)

    def _outcome(self, place: Any, item: dict[str, Any]) -> dict[str, Any]:
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        alone = place._replace(namespace=namespace)
        if place.kind is Binding:
            alone = alone._replace(kind=Pod, name=name, subresource="binding")
        try:
            self._answer("POST", alone, {}, item)
        except errors.ApiError as error:
            return error.to_status()
        return {"kind": "Status", "status": "Success"}

    def _bind(self, key: Any, body: dict[str, Any]) -> dict[str, Any]:
        pod = self._existing(key)
        if body["metadata"]["uid"] != pod["metadata"]["uid"]:
            raise errors.conflict("pods", key[2], "Precondition failed: UID in precondition")
        if pod["metadata"].get("deletionTimestamp"):
            raise errors.conflict(
                "pods/binding", key[2], f"pod {key[2]} is being deleted, cannot be assigned to a host"
            )
        if pod["spec"].get("nodeName"):
            taken = pod["spec"]["nodeName"]
            raise errors.conflict("pods/binding", key[2], f'pod {key[2]} is already assigned to node "{taken}"')
        self._store(key, {**pod, "spec": {**pod["spec"], "nodeName": body["target"]["name"]}})
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def _merged_status(self, key: Any, status: dict[str, Any]) -> dict[str, Any]:
        if "conditions" not in status:
            return status
        before = (self._existing(key).get("status") or {}).get("conditions") or []
        merged = {condition["type"]: condition for condition in (*before, *status["conditions"])}
        return {**status, "conditions": list(merged.values())}
