"""The channels that carry a finished message to its reader."""
