"""Turns under way: their events, places in the queue, streams and waiting clients."""
