"""A researcher's page: JupyterLab with its own kernel, in a real browser, on an emulated cluster."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from playwright.sync_api import expect

import simcluster

TOKEN = "of-a-test"

CONFIGURE = "import clustrix\nclustrix.configure(username={username!r}, key_file={key!r}, known_hosts_file={known!r})\nclustrix.widget()"
DEFINE = """
import os, time
from clustrix import cluster, cluster_exists

@cluster(python="3.6", cores=1, memory="100MB", time="00:10:00")
def waits(name):
    print("waits for", name)
    while not os.path.exists(name):
        time.sleep(0.05)
    return "found " + name
"""
CELLS = [
    CONFIGURE,
    DEFINE,
    "future = waits.submit('go')\nfuture",
    "clustrix.cluster_write('go', b'')",
    "future.result()",
]


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6"]) as cluster:
        yield cluster


@pytest.fixture
def lab(site, tmp_path):
    """The address of a notebook of five cells."""
    ssh = site.ssh
    known = {"username": ssh.username, "key": str(ssh.key_file), "known": str(ssh.known_hosts_file)}
    cells = [nbformat.v4.new_code_cell(CELLS[0].format(**known)), *map(nbformat.v4.new_code_cell, CELLS[1:])]
    kernel = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "demo.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    home = {"HOME": str(tmp_path / "home"), **{name: str(tmp_path / "home" / name) for name in names}}
    words = [
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        f"--IdentityProvider.token={TOKEN}",
        f"--notebook-dir={tmp_path}",
    ]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *words], env={**os.environ, **home}, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not answers(f"{address}/api/status"):
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        yield f"{address}/lab/tree/demo.ipynb"
    finally:
        server.terminate()
        server.wait(30)


def answers(address):
    try:
        request = urllib.request.Request(address, headers={"Authorization": f"token {TOKEN}"})
        return "kernels" in json.load(urllib.request.urlopen(request, timeout=10))
    except OSError:
        return False


def test_the_form_makes_a_profile_and_a_future_is_seen_to_run(site, lab, browser):
    page = browser.new_context(extra_http_headers={"Authorization": f"token {TOKEN}"}).new_page()
    page.goto(f"{lab}?token={TOKEN}", timeout=60_000)
    cells = page.locator(".jp-Notebook .jp-Cell")
    expect(cells).to_have_count(len(CELLS), timeout=60_000)

    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)

    def run(number):
        cells.nth(number).click()
        page.keyboard.press("Control+Enter")
        return cells.nth(number).locator(".jp-Cell-outputArea")

    form = run(0)
    fields = {
        "host": site.ssh.host,
        "port": str(site.ssh.port),
        "memory": "100MB",
        "time": "00:10:00",
        "profile": "from-the-form",
    }
    for label, value in fields.items():
        field = form.locator(".widget-text", has=page.get_by_text(label, exact=True)).locator("input")
        field.fill(value, timeout=60_000)
        field.blur()
    form.locator("select").select_option("slurm")
    form.get_by_role("button", name="Test").click()
    expect(form).to_contain_text("ran on node1", timeout=60_000)
    expect(form).not_to_contain_text("✗")
    form.get_by_role("button", name="Save as profile").click()
    expect(form).to_contain_text("this notebook uses it from now on")

    run(1)
    shown = run(2)
    expect(shown).to_contain_text("waits for go", timeout=60_000)
    expect(shown).to_contain_text(re.compile("waits cx.*running"))
    run(3)
    expect(shown).to_contain_text("has its result on node1", timeout=30_000)
    expect(run(4)).to_contain_text("'found go'")
