"""Slopes of the target on a measure, with intervals that hold, and what is predicted in groups left out.

Arrays and the frame of configurations come in; nothing of the league or of the claims does.
It offers `headline`, `association`, `ols` and `left_out`.
"""
