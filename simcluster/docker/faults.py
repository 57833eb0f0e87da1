"""What can be broken of a cluster in containers, and how it is mended; see `simcluster.faults.FaultBackend`."""

from __future__ import annotations

import secrets
import shlex
from typing import TYPE_CHECKING, Any

from simcluster import wrappers
from simcluster.access import KeyPair
from simcluster.docker import bad_line
from simcluster.docker.containers import LOGIN, switch_on, tell_hosts
from simcluster.errors import SimclusterError, SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker.models.containers import Container

    from simcluster.docker.schedulers.site import Site

__all__ = ["DockerFaults"]

_REFUSALS = {
    "node.clock_skew": "there is no libfaketime in the image",
    **dict.fromkeys(
        ("disk.full", "disk.quota", "disk.read_only"), "containers without privileges can't mount anything"
    ),
    "disk.stale": "all containers are on one computer, with one disk",
}

_HOST_KEY = "/run/simcluster/ssh_host_ed25519_key"
# sshd reads it again when it has started itself anew.
_SHOW_KEY = f"""\
port={bad_line.CONFIG_PORT}
kill -HUP $(pgrep -o -x sshd)
key=$(ssh-keygen -y -f {_HOST_KEY} | cut -d' ' -f2)
for _ in {{1..500}}; do
    ssh-keyscan -p $port -t ed25519 127.0.0.1 2> /dev/null | grep -qF "$key" && exit
    sleep 0.02
done
exit 1
"""
_TROUBLES = "/opt/simcluster/troubles"
_BASHRC = "/etc/bash.bashrc"


class DockerFaults:
    """Everything is done from outside by the engine, or by root inside of the login container."""

    def __init__(self, containers: Mapping[str, Container], site: Site) -> None:
        self._containers = containers
        self._site = site
        self._breakdown = site.breakdown
        self._wrappers = " ".join(f"/usr/local/bin/{command}" for command in self._breakdown.commands)

    def refusals(self) -> Mapping[str, str]:
        return _REFUSALS | dict(self._breakdown.refusals)

    def start(self, name: str, arguments: Mapping[str, Any]) -> Any:
        return getattr(self, "_start_" + name.replace(".", "_"))(**arguments)

    def stop(self, name: str, token: Any) -> None:
        getattr(self, "_stop_" + name.replace(".", "_"))(token)

    # The line to the SSH server, and the server.

    def _start_ssh_refuse(self) -> str:
        return self._bad_line("refuse", None)

    def _start_ssh_drop(self, after_bytes: int) -> str:
        return self._bad_line("drop", after_bytes)

    def _start_ssh_latency(self, seconds: float) -> str:
        return self._bad_line("latency", seconds)

    def _start_ssh_bandwidth(self, bytes_per_second: int) -> str:
        return self._bad_line("bandwidth", bytes_per_second)

    def _stop_ssh_refuse(self, fault: str) -> None:
        self._as_root(bad_line.remove(fault))

    _stop_ssh_drop = _stop_ssh_latency = _stop_ssh_bandwidth = _stop_ssh_refuse

    def _bad_line(self, name: str, value: float | None) -> str:
        fault, line = bad_line.add(name, value)
        try:
            self._as_root(line)
        except SimclusterError:
            self._as_root(bad_line.remove(fault))
            raise
        return fault

    def _start_ssh_drop_all(self) -> None:
        self._as_root('pgrep -x sshd | grep -v -x "$(pgrep -o -x sshd)" | xargs --no-run-if-empty kill -KILL')

    def _start_ssh_hang(self) -> str:
        self._as_root("pkill -STOP -x sshd")
        return "sshd"

    def _stop_ssh_hang(self, _token: str) -> None:
        self._as_root("pkill -CONT -x sshd")

    def _start_ssh_banner_noise(self, text: str) -> str:
        mark = f"# simcluster {secrets.token_hex(4)}"
        line = f"printf '%s\\n' {shlex.quote(text)} {mark}"
        if "\n" in text:
            raise SpecError(f"text={text!r}: in containers it has to be one line")
        self._as_root(f"sed -i {shlex.quote('1i ' + line.replace(chr(92), chr(92) * 2))} {_BASHRC}")
        return mark

    def _stop_ssh_banner_noise(self, mark: str) -> None:
        self._as_root(f"sed -i {shlex.quote(f'/{mark}$/d')} {_BASHRC}")

    def _start_ssh_wrong_host_key(self) -> str:
        self._as_root(f"[ -e {_HOST_KEY}.right ] || cp -p {_HOST_KEY} {_HOST_KEY}.right")
        self._as_root(f"printf %s {shlex.quote(KeyPair.generate().private)} > {_HOST_KEY}; {_SHOW_KEY}")
        return "sshd"

    def _stop_ssh_wrong_host_key(self, _token: str) -> None:
        self._as_root(f"mv {_HOST_KEY}.right {_HOST_KEY}; {_SHOW_KEY}")

    # Nodes.

    def _start_node_kill(self, node: str) -> str:
        self._node(node).kill()
        return node

    def _stop_node_kill(self, node: str) -> None:
        switch_on(self._node(node), self._containers, self._site)

    def _start_node_restart(self, node: str) -> None:
        switch_on(self._node(node), self._containers, self._site)

    def _start_node_pause(self, node: str) -> str:
        self._node(node).pause()
        return node

    def _stop_node_pause(self, node: str) -> None:
        container = self._node(node)
        container.reload()
        if container.status == "paused":
            container.unpause()

    def _start_node_partition(self, node: str) -> dict[str, str]:
        container = self._node(node)
        container.reload()
        ((network, _),) = container.attrs["NetworkSettings"]["Networks"].items()
        self._network(network).disconnect(container)
        return {"node": node, "network": network}

    def _stop_node_partition(self, token: Mapping[str, str]) -> None:
        self._network(token["network"]).connect(self._node(token["node"]), aliases=[token["node"]])
        if self._site.needs_hosts:
            tell_hosts(self._containers)

    # The scheduler.

    def _start_scheduler_down(self, timeout: float | None) -> str:
        if timeout is not None:
            raise SpecError("scheduler.down: how long the real commands wait can't be set here; leave timeout out")
        self._as_root(self._breakdown.stop)
        return "scheduler"

    def _stop_scheduler_down(self, _token: str) -> None:
        self._as_root(self._breakdown.go_on)

    def _start_scheduler_slow(self, seconds: float) -> str:
        return self._trouble(wrappers.slow(seconds))

    def _start_scheduler_reject_submits(self, message: str) -> str:
        return self._trouble(self._breakdown.reject(message))

    def _start_scheduler_flaky(self, share: float, seed: int) -> str:
        state = f"{_TROUBLES}/{secrets.token_hex(4)}.state"
        self._as_root(f"mkdir -p {_TROUBLES}; echo {seed} > {state}; chmod 0666 {state}")
        return self._trouble(wrappers.flaky(share, seed, state, self._breakdown.unreachable))

    def _stop_scheduler_slow(self, file: str) -> None:
        self._as_root(f"rm -f {file}; ls {_TROUBLES}/*.trouble > /dev/null 2>&1 || rm -f {self._wrappers}")

    _stop_scheduler_reject_submits = _stop_scheduler_flaky = _stop_scheduler_slow

    def _start_job_timeout(self, job: str) -> None:
        self._as_root(self._breakdown.timeout(job))

    def _trouble(self, text: str) -> str:
        """Put a trouble before the commands on the login host; its file."""
        file = f"{_TROUBLES}/{secrets.token_hex(4)}.trouble"
        wrapper = shlex.quote(wrappers.wrapper(_TROUBLES, self._breakdown.programs))
        self._as_root(f"mkdir -p {_TROUBLES}; printf %s {shlex.quote(text)} > {file}")
        self._as_root(f"for place in {self._wrappers}; do printf %s {wrapper} > $place; chmod 0755 $place; done")
        return file

    def _network(self, name: str) -> Any:
        client = self._containers[LOGIN].client
        assert client is not None  # noqa: S101
        return client.networks.get(name)

    def _node(self, name: str) -> Container:
        nodes = {node: container for node, container in self._containers.items() if node != LOGIN}
        if name not in nodes:
            raise SpecError(f"there is no node {name!r}; the nodes are {', '.join(nodes)}")
        return nodes[name]

    def _as_root(self, line: str) -> None:
        done = self._containers[LOGIN].exec_run(["bash", "-c", line])
        if done.exit_code:
            said: bytes = done.output  # type: ignore[assignment]
            raise SimclusterError(f"the login host refused: {said.decode(errors='replace').strip()} ({line[:200]})")
