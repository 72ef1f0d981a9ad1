"""Devices: rules about who may have which, and about what slices and pods say of them.

Belongs here: plugins about claims, slices and the records of devices in pods. Never belongs here: which device goes to
whom (the scheduler), or what keeps two pods from one device (`apiserver/writing/grants.py`).
"""
