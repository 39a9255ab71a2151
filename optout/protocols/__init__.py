"""A file for each protocol: where its words stand, and how they are read. A protocol reads; it does not judge."""
