"""``gda sandbox``: a server on loopback that speaks Google's protocol over sample mailboxes, with a mail sink.

The same client code runs against Google and against it. It is for demos, tests and measurements: it guards nothing.
"""

from gda.sandbox.app import create_app
from gda.sandbox.server import Address, SandboxOptions, running, serve
from gda.sandbox.state import Sandbox

__all__ = ["Address", "Sandbox", "SandboxOptions", "create_app", "running", "serve"]
