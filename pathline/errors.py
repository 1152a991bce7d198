"""What went wrong, said to the person at the command line."""

from __future__ import annotations


class UserError(Exception):
    """A failure that the person at the command line can act on: printed as it is, without a traceback; exit code 1."""
