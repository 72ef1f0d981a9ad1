"""Container runtimes: who really starts and stops containers.

`base.py` is the Protocol and its values; its specification is tests/contract/test_runtime.py, which `docker.py` and
`fake.py` pass unchanged. Belongs here: everything that speaks to an engine. Never belongs here: what a pod is, beyond
its name.
"""
