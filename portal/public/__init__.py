"""The pages that anybody may open: look-up, live check, complaints, who the crawlers are, how to opt out.

Nothing here needs an account. What is shown about a domain comes from ``answers``.
"""
