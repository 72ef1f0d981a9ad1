"""`metrics.k8s.io`: what nodes and pods use, asked of their kubelets when somebody wants to know.

Belongs here: asking many kubelets at once, and answers made of what they say. Never belongs here: measuring, which is
the kubelet's; keeping a history, which is nobody's.
"""
