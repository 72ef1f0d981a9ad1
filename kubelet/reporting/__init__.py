"""Parts of what a pod's node reports: each container's status, and the writing of it all to the API server.

Belongs here: Kubernetes' words for what was seen. Never belongs here: what to do about it (`kubelet.plan`).
"""
