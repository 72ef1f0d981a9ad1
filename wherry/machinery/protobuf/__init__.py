"""Objects in protobuf: what clients send is decoded to the JSON it stands for, answers are encoded from JSON.

    decode(request_body) == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    decode(encode(config_map)) == config_map

kubectl and typed Go clients send the objects they create in this form and do not try again in JSON, and they ask for
answers in it before JSON. Belongs here: `wire.py` (any protobuf message), `fields.py` with `fields.txt` (which messages
Kubernetes has), `body.py` (the object in a body), `answer.py` (the way back), `swagger.py` (an OpenAPI document). Never
belongs here: who asks for which form.
"""

from wherry.machinery.protobuf.answer import around_list, contents, encode, event, is_known, listed
from wherry.machinery.protobuf.body import MAGIC, decode, decode_delete_options

__all__ = [
    "MAGIC",
    "around_list",
    "contents",
    "decode",
    "decode_delete_options",
    "encode",
    "event",
    "is_known",
    "listed",
]
