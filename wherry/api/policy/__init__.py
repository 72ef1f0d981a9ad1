"""The `policy` group: how much disruption a workload bears."""
