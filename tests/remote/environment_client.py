"""A program that wants an environment, as an agent does: its arguments are one JSON object, its output lines of JSON."""

import json
import os
import sys
import threading
import time


def main():
    wanted = json.loads(sys.argv[1])
    sys.path.insert(0, wanted["far_side"])
    from clustrix_remote import environments, interpreters
    from clustrix_remote.paths import open_state_dir

    state = open_state_dir(wanted["state"])

    def tree():
        """What lies with the environments, once the builder has removed its own."""
        envs, deadline = os.path.join(state.root, "envs"), time.monotonic() + 30
        while True:
            names = sorted(name for key in os.listdir(envs) for name in os.listdir(os.path.join(envs, key)))
            if time.monotonic() > deadline or not any(name.startswith(".gone-") for name in names):
                return names
            time.sleep(0.01)

    def ensure():
        try:
            python = environments.ensure_environment(
                state,
                interpreters.inspect_interpreter(wanted["python"]),
                environments.Recipe(lock=wanted["lock"]),
                environments.BuildSettings(seconds=60, package_manager=wanted["package_manager"]),
                report=lambda line: say(report=line),
            )
            say(python=python, tree=tree())
        except environments.EnvironmentBuildError as error:
            say(error=str(error), tree=tree())

    say(ready=True)
    sys.stdin.readline()
    if "ballast" in wanted:
        # On a disk of its own that is nearly full, and has room again afterwards.
        ballast = os.path.join(wanted["state"], "ballast")
        with open(ballast, "wb") as stream:
            stream.write(bytes(wanted["ballast"]))
        ensure()
        os.unlink(ballast)
    ensure()


_GUARD = threading.Lock()


def say(**fields):
    with _GUARD:
        print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
