"""What versions before data format 2 store and read: their code as it was, as test data."""
