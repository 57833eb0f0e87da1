"""A form for a profile, in a notebook: where the cluster is and what jobs ask for; tried as `clustrix doctor` does, and saved."""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any

from clustrix.commands.doctor import described
from clustrix.config import ClusterConfig, ProfileManager, configure, get_config
from clustrix.config_fields import check_field
from clustrix.doctor import examine
from clustrix.errors import ClustrixError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["widget"]

_LABELS = {
    "cluster_host": "host",
    "cluster_port": "port",
    "username": "user",
    "key_file": "key file",
    "cluster_type": "scheduler",
    "default_cores": "cores",
    "default_memory": "memory",
    "default_time": "time",
    "default_partition": "partition",  # a queue, where the scheduler is not Slurm
}
_SCHEDULERS = ["slurm", "pbs", "sge", "ssh"]


def widget() -> Any:
    """A form for the configuration in force, to be a cell's last value: one button tries it on its cluster, one saves it as a profile.

    Raises ConfigurationError where ipywidgets is not installed.
    """
    try:
        widgets = importlib.import_module("ipywidgets")
    except ImportError as error:
        raise ConfigurationError(
            "clustrix.widget() needs ipywidgets: pip install 'clustrix[notebook]'; `clustrix init` asks the same in a terminal"
        ) from error
    return _Form(widgets, get_config()).box


class _Form:
    def __init__(self, widgets: Any, config: ClusterConfig) -> None:
        self._inputs = {name: _input(widgets, name, getattr(config, name)) for name in _LABELS}
        self._name = widgets.Text(description="profile", value=ProfileManager().active or "")
        self._said = widgets.Output()
        buttons = [self._button(widgets, "Test", self._test), self._button(widgets, "Save as profile", self._save)]
        self.box = widgets.VBox([*self._inputs.values(), self._name, widgets.HBox(buttons), self._said])

    def _button(self, widgets: Any, label: str, action: Callable[[], None]) -> Any:
        def act(button: Any) -> None:
            self._said.outputs = ()
            button.disabled = True
            try:
                action()
            except (ClustrixError, OSError) as error:
                self._said.append_stderr(f"{error}\n")
            finally:
                button.disabled = False

        button = widgets.Button(description=label)
        button.on_click(act)
        return button

    def _test(self) -> None:
        for finding in examine(self._config()):
            self._said.append_stdout(f"{described(finding)}\n")

    def _save(self) -> None:
        profiles, name = ProfileManager(), self._name.value.strip()
        profiles.save(name, self._config())
        if profiles.active is None:
            profiles.active = name
        configure(profile=name)
        self._said.append_stdout(f"{profiles.path} has the profile {name}, and this notebook uses it from now on\n")

    def _config(self) -> ClusterConfig:
        """What the form says, over the configuration in force. Raises ConfigurationError with the field that is wrong."""
        values = {name: check_field(name, item.value.strip(), "form") for name, item in self._inputs.items()}
        if values["cluster_host"] is None:
            raise ConfigurationError("form: the host is missing: the login node, or its name in ~/.ssh/config")
        if values["cluster_type"] != "slurm":  # others call it so
            values["default_queue"] = values.pop("default_partition")
        return dataclasses.replace(get_config(), **values)


def _input(widgets: Any, name: str, value: Any) -> Any:
    if name == "cluster_type":
        return widgets.Dropdown(
            description=_LABELS[name], options=_SCHEDULERS, value=value if value in _SCHEDULERS else "ssh"
        )
    return widgets.Text(description=_LABELS[name], value="" if value is None else str(value))
