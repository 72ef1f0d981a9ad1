"""What goes over the network to an API server, byte by byte, under `wherry/client/transport.py`.

Belongs here: sockets, TLS, HTTP. Never belongs here: objects, and what errors mean.
"""
