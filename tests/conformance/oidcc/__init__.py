"""What the conformance cases stand on: a provider that runs, a browser, a relying party, and the conditions.

The cases follow the modules of the OpenID Foundation's conformance suite, one test of the same name each. What every
flow of theirs has to keep is checked once, in `flows`: the configuration and the keys (`conditions/server.py`), the
answer of the authorization endpoint (`conditions/answers.py`), the ID token and userinfo (`conditions/tokens.py`).
"""
