"""The timeline of a real map that loses a node. It is the picture of the documentation, too:

nox -s browser -- -k timeline_of_a_map --to docs    # makes docs/timeline_of_a_map.png anew
"""

import pytest
from map_workload import waits
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster

ELEMENTS = 12
SECONDS = [0.3 + 0.1 * (7 * number % 9) for number in range(90)]


@pytest.fixture
def site(tmp_path, monkeypatch):
    with (
        simcluster.start("slurm", name="three-nodes", nodes=3, cpus_per_node=4, pythons=["3.12"]) as site,
        pointed_at(site, tmp_path, monkeypatch),
    ):
        clustrix.configure(max_parallel_jobs=ELEMENTS, job_poll_interval=1)
        yield site


def test_a_map_that_loses_a_node_is_drawn_on_each_node_and_what_was_run_again_after_it(
    site, browser, tmp_path, request
):
    results = cluster(retries=2)(waits).map(SECONDS)
    first = [next(results) for _ in range(ELEMENTS)]
    with site.faults.node.kill("node2"):
        assert [*first, *results] == SECONDS
    page = browser.new_page(viewport={"width": 1000, "height": 600}, device_scale_factor=2)
    page.goto(site.timeline(tmp_path / "map.html").as_uri())
    jobs = site.jobs()
    assert len(jobs) > ELEMENTS
    assert page.locator(".bar.job").count() == len(jobs)
    lost = page.locator(".bar.s-NODE_FAIL").evaluate_all("bars => bars.map(bar => bar.getAttribute('aria-label'))")
    assert lost
    assert all("node2" in words for words in lost)
    if directory := request.config.getoption("--to", default=None):
        chart = page.locator("main").bounding_box()
        clip = {"x": 0, "y": 0, "width": 1000, "height": chart["y"] + chart["height"] + 16}
        page.screenshot(path=directory / "timeline_of_a_map.png", clip=clip)
