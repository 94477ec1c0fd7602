"""The sixth reading of a recipe: its jaxpr as JavaScript, for a page in which it runs."""

from .translate import to_javascript as to_javascript
