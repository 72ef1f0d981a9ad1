"""Pod Security Standards: what pods of a namespace may ask for, by labels of the namespace.

Belongs here: the levels, their checks and when they are made. Never belongs here: what makes a pod invalid anywhere
(`wherry/api/core/pod/validation`).
"""
