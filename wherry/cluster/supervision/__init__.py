"""The processes of a cluster: which there are, who keeps them running, and how others see them.

Never belongs here: what a process does.
"""
