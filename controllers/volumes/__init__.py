"""Volumes and the claims on them: bound, provisioned, protected, given back.

Belongs here: controllers that plan PersistentVolumes and PersistentVolumeClaims. Never belongs here: mounting, which
is the kubelet's with `wherry.volumes`.
"""
