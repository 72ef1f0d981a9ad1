"""Admission webhooks: servers of others that change or refuse writes.

`hooks.py` knows the configurations and whom a write concerns, `reviews.py` writes the question and reads the answer,
`asking.py` puts it, counts it and says what a failure means. The plugins are in `apiserver/admission/`.

Belongs here: AdmissionReview and its rules. Never belongs here: which requests are meant (`apiserver/matching/`).
"""
