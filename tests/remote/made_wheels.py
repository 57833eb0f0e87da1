"""Wheels made on the spot, and an index of them on the loopback: most tests of environments need no network."""

import base64
import contextlib
import hashlib
import http.server
import io
import json
import os
import sys
import threading
import zipfile


def make_wheel(name, version="1.0", requires=(), **files):
    """(file name, content) of a pure Python wheel, whose module is called as it; ``files`` are further members."""
    info = "%s-%s.dist-info" % (name, version)
    members = {"%s.py" % name: "VERSION = %r\n" % version}
    members.update(files)
    members[info + "/METADATA"] = "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version) + "".join(
        "Requires-Dist: %s\n" % requirement for requirement in requires
    )
    members[info + "/WHEEL"] = "Wheel-Version: 1.0\nGenerator: here\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = [(member, _record_hash(content), len(_bytes(content))) for member, content in sorted(members.items())]
    members[info + "/RECORD"] = "".join("%s,%s,%d\n" % item for item in record) + info + "/RECORD,,\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(member), content)
    return "%s-%s-py3-none-any.whl" % (name, version), buffer.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def lock_of(*wheels):
    """The text of a lock that names these wheels."""
    lines = []
    for file_name, content in wheels:
        name, version = file_name.split("-")[:2]
        lines.append("%s==%s \\\n    --hash=sha256:%s\n" % (name, version, sha256(content)))
    return "".join(lines)


class Index:
    """A package index on the loopback. ``requests`` are the paths that were asked for; ``html`` is said to everything.

    While ``gate`` is not set, files (not pages) are held back: a build is under way then.
    """

    def __init__(self, *wheels):
        self.wheels = {}
        self.promised = {}
        self.offer(*wheels)
        self.html = None
        self.requests = []
        self.gate = threading.Event()
        self.gate.set()
        self.is_asked_for_a_file = threading.Event()
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                index.requests.append(self.path)
                content, kind = index.answer(self.path)
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                with contextlib.suppress(OSError):  # the installer was killed
                    self.wfile.write(content or b"")

            do_HEAD = do_GET  # noqa: N815 - http.server calls it so

            def log_message(self, *_):
                pass

        class Server(http.server.HTTPServer):
            def process_request(self, request, client_address):
                threading.Thread(target=self.answer_one, args=(request, client_address), daemon=True).start()

            def answer_one(self, request, client_address):
                with contextlib.suppress(OSError):
                    self.finish_request(request, client_address)
                self.shutdown_request(request)

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/simple" % self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def offer(self, *wheels):
        for name, content in wheels:
            self.wheels[name], self.promised[name] = content, sha256(content)

    def answer(self, path):
        if self.html is not None:
            return self.html, "text/html"
        name = path.strip("/").split("/")[-1]
        if path.startswith("/files/"):
            self.is_asked_for_a_file.set()
            self.gate.wait(60)
            return self.wheels.get(name), "application/octet-stream"
        of_it = [wheel for wheel in self.wheels if wheel.split("-")[0].replace("_", "-") == name]
        if not of_it:
            return None, "text/html"
        links = "".join(
            '<a href="/files/%s#sha256=%s">%s</a>\n' % (wheel, self.promised[wheel], wheel) for wheel in of_it
        )
        return ("<!DOCTYPE html><html><body>%s</body></html>" % links).encode("ascii"), "text/html"

    def close(self):
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Sender:
    """The client's half of a conversation: it sends what it is asked for and remembers what that was."""

    def __init__(self, *wheels):
        self.wheels = {sha256(content): (name, content) for name, content in wheels}
        self.asked = []

    def __call__(self, piece):
        self.asked.append(piece)
        if piece == "wheels":
            return json.dumps([[name, digest] for digest, (name, _) in sorted(self.wheels.items())]).encode("ascii")
        return self.wheels[piece.partition(" ")[2]][1]


def base_python():
    """A Python that is no virtual environment: this one's own, without the environment around it."""
    return os.path.realpath(sys.executable)


def _bytes(content):
    return content.encode("utf-8") if isinstance(content, str) else content


def _record_hash(content):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(_bytes(content)).digest()).rstrip(b"=").decode("ascii")
