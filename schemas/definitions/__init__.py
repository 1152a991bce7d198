"""The definitions of a project: what its YAML files say, checked, as typed values."""
