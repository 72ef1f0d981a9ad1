"""Plugins that do what objects of the cluster say: webhooks and policies.

Belongs here: when and in which order they are asked. Never belongs here: how (`apiserver/webhooks`,
`apiserver/policies`).
"""
