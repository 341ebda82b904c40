"""Telling a user something, through every channel that the user prefers, and not while the user wants quiet.

``notify(channels, job, Notice(user_id, cause, title, body))`` is the one seam: kinds say what, this package says how. A
notice is told once for its cause; what is repeated after a crash finds what is told already.
"""

from gda.notify.channels import CHANNELS, Channels, open_channels
from gda.notify.notice import Notice, notify, quiet_end, tell
from gda.notify.steps import Delivery

__all__ = ["CHANNELS", "Channels", "Delivery", "Notice", "notify", "open_channels", "quiet_end", "tell"]
