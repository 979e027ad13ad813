"""A wire-conformance suite for any LLM gateway: its own upstream, its own client, its own grammars.

What is judged stands between the two: bytes that reached the upstream, and bytes that reached the client. Nothing here
uses Metis's codecs, so that the suite cannot share their mistakes; Metis is one target among others.
"""
