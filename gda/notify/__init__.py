"""Telling a user something, through every channel that is theirs.

``notify(channels, job, Notice(user_id, cause, title, body))`` is the one seam: kinds say what, this package says how. A
notice is told once for its cause; what is repeated after a crash finds what is told already.
"""

from gda.notify.channels import Channels, open_channels
from gda.notify.notice import Notice, notify

__all__ = ["Channels", "Notice", "notify", "open_channels"]
