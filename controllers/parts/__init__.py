"""Pure pieces that several controllers share, or that are one controller's but too much for its file.

Belongs here: readings of pods, nodes and services, orders and packings, steps that two kinds take alike. Never belongs
here: plans, or what a kind's view should offer to everyone (that is in `wherry.api`).
"""
