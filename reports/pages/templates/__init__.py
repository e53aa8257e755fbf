"""The page's template and style sheet, read as package data so that they work from a wheel too."""
