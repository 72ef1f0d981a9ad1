"""Calls to servers that speak gRPC, over a connection of HTTP/2 that lives in the event loop.

Belongs here: frames, streams and their windows, connections, and the two ways of calling that Wherry needs (one
question and its answer; one question and many answers). Never belongs here: what is asked, and what to do without an
answer. Answers' headers are decompressed by `hpack`.
"""
