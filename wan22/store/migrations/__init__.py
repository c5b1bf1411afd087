"""The schema's history: one numbered script for each step, never edited once released. Run by `store.schema`."""
