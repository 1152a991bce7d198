"""Segments as SQL over the warehouse: who is in one at an instant, by the raw events alone.

The same definition that the segments stage follows event by event is compiled to one query that looks at all events at
once, so each checks the other.
"""
