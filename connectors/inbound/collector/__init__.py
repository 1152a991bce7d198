"""HTTP collector with the API of Segment."""
