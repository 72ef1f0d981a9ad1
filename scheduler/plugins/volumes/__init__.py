"""Plugins that keep pods off nodes because of their volumes.

Never belongs here: finding out what a pod's claims ask for (`scheduler/volumes/`).
"""
