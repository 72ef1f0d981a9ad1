"""Admission policies: rules and changes in CEL that objects of the cluster state.

`compiled.py` is a policy ready to be asked, `catalog.py` knows which policies and bindings there are and whom they
concern, `params.py` finds their parameters, `validating.py` judges, `mutating.py` changes.

Belongs here: the meaning of policies. Never belongs here: CEL itself (`wherry/machinery/cel`).
"""
