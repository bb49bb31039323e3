"""Look: the views of one run, drawn on one canvas."""
