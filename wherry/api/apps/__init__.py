"""The `apps` group: workloads that keep pods running."""
