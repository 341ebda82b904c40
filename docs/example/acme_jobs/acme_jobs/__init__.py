"""Acme's job types: invoices that programs enqueue, and a sales report on each user's schedule."""
