"""A local module of the use cases, with one of its own: both have to come along."""

from geometry_units import to_metres


class Box:
    def __init__(self, width, height):
        self.width = width
        self.height = height

    def __eq__(self, other):
        return isinstance(other, Box) and (self.width, self.height) == (other.width, other.height)

    def __hash__(self):
        return hash((self.width, self.height))

    def area(self):
        return self.width * self.height


def area_in_metres(width, height, unit):
    return Box(to_metres(width, unit), to_metres(height, unit)).area()
