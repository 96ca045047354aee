"""What a channel means: panels, gating templates and subset signatures, from ``panels/`` or from your own files."""

from cytof.panel.diff import compatibility, diff
from cytof.panel.find import find, names
from cytof.panel.guess import guess
from cytof.panel.panel import Panel, channel_table, load
from cytof.panel.signature import Signature, load_subsets
from cytof.panel.template import Gate, Template
from cytof.panel.template_file import load_gates

__all__ = [
    "Gate",
    "Panel",
    "Signature",
    "Template",
    "channel_table",
    "compatibility",
    "diff",
    "find",
    "guess",
    "load",
    "load_gates",
    "load_subsets",
    "names",
]
