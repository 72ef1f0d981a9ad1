"""uvicorn's protocols, taught to tell the app which client certificate TLS has verified.

They rely on uvicorn's internals, so pyproject pins its minor version, and `tests/apiserver/test_protocols.py` holds
them to it. Never belongs here: what an answer is.
"""
