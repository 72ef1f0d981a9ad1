"""Access: who may do what, the tokens of service accounts, and the roles every cluster begins with.

Belongs here: answers to "who is this?" and "may they?". Never belongs here: the steps of the pipeline that ask
(`apiserver.steps`).
"""
