"""What containers of one machine share: classes of service, devices, the machine's own measures.

Belongs here: arithmetic and allocation per node. Never belongs here: the scheduler's view of many nodes.
"""
