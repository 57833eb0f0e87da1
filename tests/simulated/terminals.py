"""A terminal with a program in it: what is on its screen, and keys pressed."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

import pyte

ROWS, COLUMNS = 24, 120
# So that Ctrl-C is a signal, and is heeded where these tests run in the background, which a shell has ignore it.
OWN_TERMINAL = (
    "import fcntl, signal, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
)


class Terminal:
    """Runs a Python program; ``screens`` are all that were seen, as text without the blanks at line ends."""

    def __init__(self, program, environment, *, stdout=None):
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._end, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.screens = [""]
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL + program],
            stdin=other,
            stdout=stdout or other,
            stderr=other,
            env={**os.environ, "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        os.close(other)

    @property
    def screen(self):
        return self.screens[-1]

    def wait_for(self, text, seconds=60):
        """Return when ``text`` is on the screen."""
        self.wait_until(lambda screen: text in screen, seconds)

    def wait_until(self, is_there, seconds=60):
        """Return when ``is_there(screen)``."""
        deadline = time.monotonic() + seconds
        while not is_there(self.screen):
            assert self._read(deadline), f"not what was waited for, but:\n{self.screen}"

    def press(self, keys):
        os.write(self._end, keys)

    def rest(self, seconds=60):
        """The screen at the program's end, which is the end of the test's patience, too."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on, with this on its screen:\n{self.screen}") from None
        return self.screen

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._end)

    def _read(self, deadline):
        """Take in what comes next; False at the program's end and at the deadline."""
        ready, _, _ = select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))
        try:
            data = os.read(self._end, 1 << 16) if ready else b""
        except OSError:  # the other end is closed
            return False
        self._stream.feed(data)
        self.screens.append("\n".join(line.rstrip() for line in self._screen.display).rstrip())
        return bool(data)
