import subprocess
import sys

import pytest

import clustrix


@pytest.mark.parametrize("name", clustrix.__all__)
def test_every_name_of_the_front_door_opens(name):
    assert getattr(clustrix, name).__name__ == name


def test_importing_clustrix_imports_nothing_heavy():
    program = "import sys, clustrix; print(*(name for name in ('paramiko', 'yaml', 'rich', 'concurrent.futures', 'asyncio') if name in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


def test_decorating_a_function_imports_neither_paramiko_nor_the_analysis():
    program = (
        "import sys; from clustrix import cluster; cluster(cores=1)(lambda: 0); "
        "print(*(name for name in ('paramiko', 'clustrix.dependency_analysis') if name in sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'clutser'"):
        _ = clustrix.clutser


def test_the_form_says_what_it_needs():
    program = "import sys; sys.modules['ipywidgets'] = None; import clustrix; clustrix.widget()"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "clustrix.widget() needs ipywidgets: pip install 'clustrix[notebook]'" in answer.stderr
