"""The tutorial notebooks run from top to bottom, each with a cluster that it starts itself."""

import click
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from page_kernel import client_of
from test_pages import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.filterwarnings("ignore")  # the kernel's client makes its event loop, and temporary files, as it likes
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path, tmp_path, home):
    notebook = nbformat.read(path, as_version=4)
    # What is tried is this checkout, which is installed already.
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", ())]
    try:
        client_of(notebook, tmp_path).execute(env=home, cleanup_kc=True)
    except CellExecutionError as error:
        pytest.fail(f"{path}: {click.unstyle(str(error))}", pytrace=False)
