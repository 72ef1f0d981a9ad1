"""What is said to a key management plugin, and what stands in the store of its keys.

The numbers are those of Kubernetes' kms/v2/api.proto and of its EncryptedObject: either server reads what the other one
wrote. A map of annotations travels as a list of its entries.
"""

from typing import Any

from apiserver.storage.run_time_messages import message_classes

_TABLE = """
Annotation      1 key string, 2 value bytes
StatusRequest
StatusResponse  1 version string, 2 healthz string, 3 key_id string
EncryptRequest  1 plaintext bytes, 2 uid string
EncryptResponse 1 ciphertext bytes, 2 key_id string, 3 *annotations Annotation
DecryptRequest  1 ciphertext bytes, 2 uid string, 3 key_id string, 4 *annotations Annotation
DecryptResponse 1 plaintext bytes
EncryptedObject 1 encrypted_data bytes, 2 key_id string, 3 encrypted_source bytes, 4 *annotations Annotation,
                5 source_type int32
"""

# What the plugin has encrypted: a key itself, or a seed from which a key is made for every write.
SOURCE_IS_KEY, SOURCE_IS_SEED = 0, 1

_CLASSES = message_classes("v2", _TABLE)
Annotation: Any = _CLASSES["Annotation"]
StatusRequest: Any = _CLASSES["StatusRequest"]
StatusResponse: Any = _CLASSES["StatusResponse"]
EncryptRequest: Any = _CLASSES["EncryptRequest"]
EncryptResponse: Any = _CLASSES["EncryptResponse"]
DecryptRequest: Any = _CLASSES["DecryptRequest"]
DecryptResponse: Any = _CLASSES["DecryptResponse"]
EncryptedObject: Any = _CLASSES["EncryptedObject"]
