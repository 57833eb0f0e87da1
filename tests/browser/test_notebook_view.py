"""What a notebook shows of futures, in a real browser: a kernel draws it, the page has its rows and nothing else."""

import os
import sys

import nbclient
import nbformat
import pytest

pytestmark = [
    # The kernel's client makes its event loop, and temporary files, as it likes.
    pytest.mark.filterwarnings("ignore"),
]

DRAW = """
from clustrix.display import NotebookDrawing, Row
rows = [Row("fit cx1", "running", 3, 12, 1, 61), Row("<b>fit</b> cx2", "failed: <img src=x onerror=steal()>", 0, 0, 0, 2)]
NotebookDrawing().update(rows, "\\x1b[31mred\\x1b[0m <script>document.title='owned'</script>\\n  indented")
"""


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    from jupyter_client.manager import KernelManager

    home = tmp_path_factory.mktemp("home")
    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = None
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(DRAW)])
    client = nbclient.NotebookClient(notebook, km=manager, timeout=60, resources={"metadata": {"path": str(home)}})
    client.execute(env={**os.environ, "IPYTHONDIR": str(home), "JUPYTER_RUNTIME_DIR": str(home)}, cleanup_kc=True)
    return notebook.cells[0].outputs[0]["data"]["text/html"]


@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


def test_rows_and_log_are_lines_and_what_a_job_writes_is_text(html, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(f"<title>mine</title>{html}")
    lines = [line.rstrip() for line in page.inner_text("pre").rstrip().split("\n")]
    assert lines[0].startswith("fit cx1")
    assert lines[0].endswith("1:01")
    assert "running, 1 failed" in lines[0]
    assert lines[1].startswith("<b>fit</b> cx2  failed: <img src=x onerror=steal()>")
    assert lines[2:] == ["red <script>document.title='owned'</script>", "  indented"]
    # The times stand below each other.
    assert len(lines[0]) == len(lines[1])
    assert page.title() == "mine"
    assert asked == []
