"""What schemathesis loads before it runs."""

from tests.described import lines, problem_check

__all__ = ["lines", "problem_check"]
