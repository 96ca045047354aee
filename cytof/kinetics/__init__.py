"""Cell kinetics of a course over the days: peak, last detection, area, half-life; knows no cells."""

from cytof.kinetics._area import area
from cytof.kinetics._course import COURSE, checked
from cytof.kinetics._half_life import HalfLife, half_life
from cytof.kinetics._parameters import PARAMETERS, parameters

__all__ = ["COURSE", "HalfLife", "PARAMETERS", "area", "checked", "half_life", "parameters"]
