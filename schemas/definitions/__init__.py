"""The definitions of a project: what its YAML files say, checked, as typed values."""

from schemas.definitions.loading import content_hash, find_project, load, parse
from schemas.definitions.model import Project
from schemas.definitions.problems import Invalid, Problem

__all__ = ["Invalid", "Problem", "Project", "content_hash", "find_project", "load", "parse"]
