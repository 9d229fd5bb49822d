"""The views of the console, one module each; ``registry.py`` lists them."""
