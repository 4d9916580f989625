"""Curves and charts, as SVG, PNG and plotly."""
