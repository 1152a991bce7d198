"""What may stand in each file of a project: pydantic models, one per thing a person writes.

Only the shape is checked here (keys, types, durations); what names refer to is checked when the typed values of
`schemas.definitions.model` are made. The JSON Schemas for editors come from these models.
"""
