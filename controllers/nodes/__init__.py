"""What becomes of nodes and of the pods on them: silence, taints, eviction, pods whose node is gone.

Belongs here: controllers that plan a Node, or pods because of their node. Never belongs here: what a node reports
about itself, which is the kubelet's.
"""
