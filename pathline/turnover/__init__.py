"""Other definitions for a running line: who would enter and leave, and how far it is in going over to them."""
