"""What the tasks of a map end in."""


def ends(results):
    """What each task ended in: values, and exceptions in the place of them."""
    return list(iter(lambda: _next_end(results), StopIteration))


def _next_end(results):
    try:
        return next(results)
    except StopIteration:
        return StopIteration
    except Exception as error:  # noqa: BLE001 - it is what is looked at
        return error
