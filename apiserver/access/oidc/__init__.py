"""People whom an identity provider vouches for: ID tokens of OpenID Connect.

Belongs here: which issuers are trusted (`config.py`), their keys (`keys.py`), and who a token says one is
(`issuers.py`). Never belongs here: tokens of this server's own (`apiserver/access/tokens.py`).
"""
