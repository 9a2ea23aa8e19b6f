"""The paper's claims, stated as tests before any result, and what a grid says of each.

The frame of networks comes in; seeds are the replicates, the levels of the axes are fixed.
It offers `paper_claims` (the claims as data), `tests.claims` (their verdicts), `words` (the
sentences) and `scaling` (exponents in width and sample size).
"""
