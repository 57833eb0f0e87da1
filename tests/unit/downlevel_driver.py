"""Runs modules and says what each of them answers: 3.6 grammar, for it runs under the Pythons that texts are rewritten for.

Arguments: the directories that are importable, each with a colon behind it, then the modules' files. Prints JSON: for each
file the ``repr`` of its variable ``answer``, or the exception with the lines at which it was raised.
"""

import json
import sys
import traceback
from pathlib import Path


def answer_of(path):
    text = Path(path).read_bytes()
    # As an imported module: a class of it finds its module.
    name = f"module_{len(sys.modules)}"
    module = type(sys)(name)
    sys.modules[name] = module
    try:
        exec(compile(text, path, "exec", dont_inherit=True), module.__dict__)
    except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
        places = [
            (item.name, item.lineno) for item in traceback.extract_tb(error.__traceback__) if item.filename == path
        ]
        return {"error": f"{type(error).__name__}: {error}", "places": places}
    return {"answer": repr(module.answer)}


if __name__ == "__main__":
    paths = sys.argv[1:]
    while paths[0].endswith(":"):
        sys.path.insert(0, paths.pop(0)[:-1])
    print(json.dumps([answer_of(path) for path in paths]))
