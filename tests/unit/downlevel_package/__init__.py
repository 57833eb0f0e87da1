"""A package in newer syntax, which travels with the function that imports it."""
