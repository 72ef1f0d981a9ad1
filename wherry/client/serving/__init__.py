"""What a component serves itself, and to whom.

Belongs here: who asks, and whether the API server lets them. Never belongs here: what one component has to tell.
"""
