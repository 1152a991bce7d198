"""CEL conditions as SQL over rows of `pathline.events`, with the meaning they have in the line.

What fails in CEL is NULL in SQL: `false && failed` and `true || failed` are what they are in both, and a condition that
is NULL as a whole holds for no row. Types of properties show only when a query runs, so a property is the text of its
JSON, and each operation says what it does with which type.
"""
