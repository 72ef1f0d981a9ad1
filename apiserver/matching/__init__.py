"""Which requests are meant: what webhooks and admission policies have in common.

`attributes.py` is a write as they see it, `rules.py` says by resource and operation whom it concerns, `selectors.py` by
labels, `conditions.py` by expressions in CEL.

Belongs here: pure matching. Never belongs here: what happens to what matches.
"""
