"""What processes tell each other: frozen values, decoded tolerantly."""
