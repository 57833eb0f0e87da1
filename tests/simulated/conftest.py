"""Files whose tests take longest begin first, so that no worker goes on long after the others (with ``--no-loadscope-reorder``)."""

LONGEST = frozenset(
    f"test_{name}.py"
    for name in (
        "callables_on_a_cluster",
        "command_line",
        "cpython_futures",
        "downlevel_jobs",
        "environment_inventory",
        "environments",
        "explain",
        "faults_emulated_nodes",
        "maps_ends",
        "pytest_plugin_workers",
        "silent_index",
        "site_settings",
        "two_stages",
    )
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)
