"""What stands in for `typing` while a job of Python 3.6 starts."""

import subprocess
import sys

from clustrix_remote import hints

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from clustrix_remote.hints import without_typing
with without_typing():
    from clustrix_remote import runner
assert sys.version_info >= (3, 7) or "typing" not in sys.modules
import typing
assert typing.NamedTuple.__module__ == "typing", typing
assert runner.JobPaths("/x").root == "/x"
"""


def test_named_tuples_have_fields_defaults_and_methods():
    class Named(hints.NamedTuple):
        """A docstring."""

        first: int
        second: hints.Dict[str, hints.Any] = None

        def both(self):
            return self.first, self.second

        @property
        def twice(self):
            return 2 * self.first

    assert Named(1) == (1, None)
    assert Named(1, second=2).both() == (1, 2)
    assert Named(4).twice == 8
    assert (Named._fields, Named.__doc__, Named.__module__) == (("first", "second"), "A docstring.", __name__)
    assert Named(1)._replace(first=3).first == 3
    assert isinstance(Named(1), Named)


def test_the_users_modules_get_the_real_one(tmp_path):
    import clustrix_remote

    root = str(clustrix_remote.__path__[0])
    (tmp_path / "clustrix_remote").symlink_to(root)
    subprocess.run([sys.executable, "-s", "-c", PROGRAM, str(tmp_path)], check=True)
