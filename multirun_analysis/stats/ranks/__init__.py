"""How a measure ranks networks: Kendall's tau, Psi, conditional mutual information, sign errors.

Arrays of measures, targets and the codes of groups come in.
It offers `ranking` (the statistics with intervals), `information`, `sign_errors` and `kendall`.
"""
