"""The kinds: one file per kind, below a folder per API group.

A kind's file holds what is special about it: the view, defaults, validation, columns, short names, subresources. Which
fields exist comes from the schema. Importing `wherry.api.kinds` registers them all. Never belongs here: behaviour
(that is in `controllers`, `kubelet`, ...) or I/O.
"""
