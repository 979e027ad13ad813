"""The only outbound HTTP: pooled keep-alive connections, TLS, proxies, timeouts. No API shapes here."""
