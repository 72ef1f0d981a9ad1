"""The plugins, one per file; a file put here is a plugin known by its class name.

Belongs here: one question about pods and nodes, answered for all nodes at once by numpy over the columns. Never belongs
here: input or output, clocks, chance, or memory between two answers.
"""
