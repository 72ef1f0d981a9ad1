"""Objects encrypted at rest: between the server, which sees plain bytes, and a store, which sees none.

`config.py` reads the EncryptionConfiguration, `providers.py` encrypts and decrypts, `store.py` is the store in between.
Kubernetes: storage/value/encrypt, in the same format: either server reads what the other one wrote.

Belongs here: what happens to bytes between server and store. Never belongs here: what is a secret; the file says that.
"""
