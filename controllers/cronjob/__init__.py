"""The CronJob controller: a Job at given times.

`plan.py` decides what happens, `due.py` which time it is time for, `making.py` what a Job looks like. Never belongs
here: pods, which are the Jobs' own affair; what a schedule means, which is `wherry.api.batch.cron_schedule`'s.
"""
