"""One module per tab: what happens (handlers), then what it looks like (components and their events)."""
