"""Smoothed histograms, valleys, tails and ellipses on arrays, for cleaning and gating alike.

Everything works on a histogram of the arcsinh scale with one fixed grid (:data:`GRID`), so that samples are pooled by
adding integers (the result cannot depend on their order) and a bootstrap is a multinomial draw. Three habits of counts
are built in:

* arcsinh pulls small integers apart (0, 1, 2 counts lie 0.20, 0.19 units from each other at cofactor 5), which shows as
  false valleys at a narrow bandwidth; the bandwidth here is never below the local spacing of the integers;
* zeros are mass, not a mode: they are laid out evenly between 0 and 1 count before smoothing;
* a valley has to stand out from Poisson noise on both sides; a bump of a few events makes none.

Source: Silverman 1986 (section 3.4.1, bandwidth); Finak et al. 2014, openCyto (mindensity, tailgate); Rousseeuw and Van
Driessen 1999 (concentration steps for the ellipse).
"""

from cytof.density._body import Tail, body_tail
from cytof.density._ellipse import ellipse
from cytof.density._histogram import GRID, STEP, bandwidth, histogram, quantile, smooth, spread_of_mode
from cytof.density._valley import Valley, emptiest, tail, valley

__all__ = [
    "GRID",
    "STEP",
    "Tail",
    "Valley",
    "bandwidth",
    "body_tail",
    "ellipse",
    "emptiest",
    "histogram",
    "quantile",
    "smooth",
    "spread_of_mode",
    "tail",
    "valley",
]
