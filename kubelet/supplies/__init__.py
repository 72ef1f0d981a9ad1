"""What pods are given from the API: ConfigMaps, Secrets, Services, tokens and, made of them, volumes.

Belongs here: reading and following objects on behalf of pods. Never belongs here: what a volume type does with them
(wherry.volumes), or writing anything but token requests.
"""
