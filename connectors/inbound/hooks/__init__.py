"""Webhooks of providers at the collector: receipts and replies, each proven on the bytes as they came."""
