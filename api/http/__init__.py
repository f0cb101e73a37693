"""What every request passes: body, connections, guards, access, errors, tracing."""
