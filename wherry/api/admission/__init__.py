"""`admissionregistration.k8s.io`: who is asked, and by which rules, before a write is accepted."""
