"""The `palaver` command: `chat`, `bench`, `doctor`, `repair`, `keys`."""
