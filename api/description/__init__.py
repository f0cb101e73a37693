"""The words in which routes describe themselves, for the router and for `/openapi.json`."""
