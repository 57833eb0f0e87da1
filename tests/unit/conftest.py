"""Files whose tests take longest begin first, so that no worker goes on long after the others (with ``--no-loadscope-reorder``)."""

LONGEST = frozenset(
    f"test_{name}.py"
    for name in (
        "downlevel_generated",
        "generated_functions",
        "lock",
        "loop_soundness",
        "notebook",
        "pandas_pairs",
        "ssh_connections",
        "wire_pairs",
    )
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)
