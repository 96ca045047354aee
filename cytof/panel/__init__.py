"""What a channel means: panels, gating templates and subset signatures, read from ``panels/`` or from your own files."""

from cytof.panel.find import find
from cytof.panel.guess import guess
from cytof.panel.panel import Panel, channel_table, load

__all__ = ["Panel", "channel_table", "find", "guess", "load"]
