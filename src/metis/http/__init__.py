"""Sans-I/O HTTP/1.1 shared by both ends: reading requests, reading responses, headers. No sockets."""
