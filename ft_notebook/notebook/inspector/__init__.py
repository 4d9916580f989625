"""The inspector: a data set under inspection, and its view."""
