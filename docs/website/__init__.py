"""The site: pages of the repository and a reference from docstrings, built by Sphinx."""
