"""A few gated samples in memory, with the channels that gates read, as their overrides say."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cytof import gate as gating
from cytof import pipeline
from cytof.errors import CytofError
from cytof.gate import Gating
from cytof.panel import Template
from cytof.study import Study

__all__ = ["Samples"]

_KEPT_OPEN = 2


class Samples:
    """The samples of a study, opened when they are asked for.

    Parameters
    ----------
    study, template, sheet, thresholds
        Of the gate stage.
    opened
        Samples in memory, which the pages of one server share.
    """

    def __init__(
        self, study: Study, template: Template, sheet: pd.DataFrame, thresholds: pd.DataFrame, opened: dict[str, Gating]
    ) -> None:
        self._study, self._template, self._opened = study, template, opened
        self._rows = {str(row.sample_id): row for row in sheet.itertuples()}
        self._thresholds = thresholds

    def opened(self, sample: str) -> Gating:
        """Return a sample, gated.

        Raises
        ------
        CytofError
            The sample's file cannot be read or cleaned any more.
        """
        if sample not in self._opened:
            _, events = next(pipeline.cleaned(self._study, [self._rows[sample]]))
            if isinstance(events, CytofError):
                raise events
            dims = [events.channel(d) for d in self._template.antigens]
            channels = list(dict.fromkeys([*dims, str(events.channels.index[0])]))
            X = np.asfortranarray(events.columns(channels))
            events = events.replace(X=X, channels=events.channels.loc[channels])
            while len(self._opened) >= _KEPT_OPEN:
                del self._opened[next(iter(self._opened))]
            self._opened[sample] = gating.apply(events, self._template, self.placed(sample))
        return self._opened[sample]

    def placed(self, sample: str) -> pd.DataFrame:
        """Return the thresholds of a sample with its overrides laid over them."""
        own = self._thresholds[self._thresholds["sample_id"] == sample]
        changes = gating.read_overrides(self._study.path(pipeline.OVERRIDES), self._template)
        return gating.overridden(own, [c for c in changes if c.sample_id == sample], self._template)

    def forget(self, sample: str) -> None:
        """Let go of a sample whose gates changed."""
        self._opened.pop(sample, None)
