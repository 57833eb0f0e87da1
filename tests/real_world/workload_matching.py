"""A statement that older Pythons have no equal of."""


def matching(value):
    match value:
        case [first, *_]:
            return first
    return None
