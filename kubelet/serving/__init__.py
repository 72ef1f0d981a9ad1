"""What the kubelet answers to the API server: which container's logs, and the streams of exec and attach.

Belongs here: requests and their answers. Never belongs here: deciding what should run.
"""
