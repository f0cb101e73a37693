"""The `palaver` command: `chat`, `models`, `bench`, `doctor`, `repair`, `keys`."""
