"""Shows what the log knows: web pages for rightsholders, legal teams and operators, and the JSON of the same."""
