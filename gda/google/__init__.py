"""Google as GDA uses it: OAuth tokens and Gmail v1 over one shared HTTP client."""
