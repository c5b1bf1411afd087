"""One router for each group of calls. A route translates; its meaning is in `handlers`."""
