"""The messages of etcd's v3 API that we speak.

The numbers are those of etcd's rpc.proto and kv.proto; unknown fields are skipped as ever.
"""

from typing import Any

from apiserver.storage.run_time_messages import message_classes

_TABLE = """
KeyValue             1 key bytes, 3 mod_revision int64, 5 value bytes
Event                1 type int32, 2 kv KeyValue, 3 prev_kv KeyValue
ResponseHeader       3 revision int64
RangeRequest         1 key bytes, 2 range_end bytes, 3 limit int64, 4 revision int64, 8 keys_only bool
RangeResponse        1 header ResponseHeader, 2 *kvs KeyValue, 3 more bool
PutRequest           1 key bytes, 2 value bytes
DeleteRangeRequest   1 key bytes, 3 prev_kv bool
DeleteRangeResponse  3 *prev_kvs KeyValue
RequestOp            1 |request_range RangeRequest, 2 |request_put PutRequest,
                     3 |request_delete_range DeleteRangeRequest
ResponseOp           1 |response_range RangeResponse, 3 |response_delete_range DeleteRangeResponse
Compare              1 result int32, 2 target int32, 3 key bytes, 6 |mod_revision int64
TxnRequest           1 *compare Compare, 2 *success RequestOp, 3 *failure RequestOp
TxnResponse          1 header ResponseHeader, 2 succeeded bool, 3 *responses ResponseOp
CompactionRequest    1 revision int64
CompactionResponse   1 header ResponseHeader
WatchCreateRequest   1 key bytes, 2 range_end bytes, 3 start_revision int64, 6 prev_kv bool
WatchRequest         1 |create_request WatchCreateRequest
WatchResponse        3 created bool, 4 canceled bool, 5 compact_revision int64, 6 cancel_reason string,
                     11 *events Event
StatusRequest
StatusResponse       3 db_size int64
AuthenticateRequest  1 name string, 2 password string
AuthenticateResponse 2 token string
"""

# Enumerations travel as numbers.
COMPARE_EQUAL = 0
COMPARE_MOD_REVISION = 2
EVENT_DELETE = 1

_CLASSES = message_classes("etcdserverpb", _TABLE)
AuthenticateRequest: Any = _CLASSES["AuthenticateRequest"]
AuthenticateResponse: Any = _CLASSES["AuthenticateResponse"]
Compare: Any = _CLASSES["Compare"]
CompactionRequest: Any = _CLASSES["CompactionRequest"]
CompactionResponse: Any = _CLASSES["CompactionResponse"]
DeleteRangeRequest: Any = _CLASSES["DeleteRangeRequest"]
PutRequest: Any = _CLASSES["PutRequest"]
RangeRequest: Any = _CLASSES["RangeRequest"]
RangeResponse: Any = _CLASSES["RangeResponse"]
RequestOp: Any = _CLASSES["RequestOp"]
StatusRequest: Any = _CLASSES["StatusRequest"]
StatusResponse: Any = _CLASSES["StatusResponse"]
TxnRequest: Any = _CLASSES["TxnRequest"]
TxnResponse: Any = _CLASSES["TxnResponse"]
WatchCreateRequest: Any = _CLASSES["WatchCreateRequest"]
WatchRequest: Any = _CLASSES["WatchRequest"]
WatchResponse: Any = _CLASSES["WatchResponse"]
