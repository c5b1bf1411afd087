"""What the routes mean: one module for each group of verbs. Knows the rooms below, leaves status codes to `routes`."""
