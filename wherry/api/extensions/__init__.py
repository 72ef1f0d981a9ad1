"""apiextensions.k8s.io: kinds that users declare, and what objects of such kinds are.

Belongs here: CustomResourceDefinition, the rules for what may be declared, and the classes made of a declaration. Never
belongs here: serving them (`apiserver/extensions`).
"""
