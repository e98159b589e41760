"""The tests of the sites that the documentation describes, by the name of the page."""
