"""A control that finds every use of it invalid."""

from chaoslib.exceptions import InvalidActivity


def validate_control(control):
    raise InvalidActivity(f"{control['name']} is not what it must be")
