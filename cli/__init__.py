"""`palaver` on the command line: `chat`, `doctor`, `bench`, `repair`."""
