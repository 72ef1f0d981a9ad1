"""Protobuf request bodies, decoded to the JSON they stand for.

    decode(request_body) == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}

kubectl and typed Go clients send the objects they create in this form and do not try again in JSON. Belongs here:
`wire.py` (any protobuf message), `fields.py` with `fields.txt` (which messages Kubernetes has), `body.py` (the object
in a body). Never belongs here: encoding, because every answer may be JSON.
"""

from wherry.machinery.protobuf.body import MAGIC, decode, decode_delete_options

__all__ = ["MAGIC", "decode", "decode_delete_options"]
