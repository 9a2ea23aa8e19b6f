"""What a command asks for and what becomes of it: its networks, what the store lacks of them, and their way into it.

Composed configs come in; this room knows the command line's side, the processes and the store, and never imports torch
at its top. It offers `planning` (networks and jobs), the `session` of a sweep, `tracked_training`, `lacking` and
`backfill` (measures afterwards), and beneath them the `workspace`, `leases`, the `outbox`, `progress` and `summary`.
"""
