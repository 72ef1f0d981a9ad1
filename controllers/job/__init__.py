"""The Job controller: pods that run until so many have succeeded, each counted exactly once.

`plan.py` decides what happens, `ledger.py` counts, `verdict.py` says whether it is over and why, `failures.py` what a
failure means, `indexed.py` what each index is owed, `filling.py` which pods to make or take away and when, `making.py`
what a pod looks like, `status.py` what is told; `orphans.py` frees pods whose Job is gone, `ttl.py` takes finished
Jobs away. Never belongs here: schedules, which are CronJobs'.
"""
