"""The functions that Kubernetes adds to CEL, one file for each family.

    FUNCTIONS = [Function("isIP", "bool", ("string",), is_ip), ...]

Belongs here: functions on plain values. Never belongs here: what asks the cluster (the authorizer of a policy).
"""
