"""Words that are true only until the next ones."""

__all__ = ["Passing"]


class Passing(str):
    """A line for the user that the next one replaces, where what is shown can be replaced; elsewhere a line like others.

    ``done`` of ``total`` is how far that is, in whatever unit the line has; ``total`` is 0 where nobody knows. ``job`` is the id of the job
    that it is about, where that is not plain from who says it.
    """

    __slots__ = ("done", "job", "total")

    done: int
    total: int
    job: str

    def __new__(cls, line: str, done: int = 0, total: int = 0, job: str = "") -> "Passing":  # noqa: PYI034 - Python 3.6 has no Self
        self = super().__new__(cls, line)
        self.done, self.total, self.job = done, total, job
        return self
