"""The league table: every logged measure under every statistic, and how far the evidence on each carries.

The frame of networks and the catalogue of measures come in; regression and ranks lie below.
It offers `table.league_table`, the types of its rows, and `ladder` (the rungs and their verdicts).
"""
