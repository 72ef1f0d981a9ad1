"""Pure pieces that several controllers share, or that are one controller's but too much for its file.

Belongs here: readings of pods, nodes and services, orders and packings. Never belongs here: plans, or what a kind's
view should offer to everyone (that is in `wherry.api`).
"""
