"""The audit log: who did what, when, and how it ended, as far as a policy wants to know.

`policy.py` reads the policy file and says how much is told of a request, `record.py` gathers it while the request is
answered, `log.py` writes lines and rotates the file; the step is `apiserver/steps/auditing.py`.

Belongs here: telling. Never belongs here: deciding.
"""
