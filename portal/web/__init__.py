"""What every page needs: settings, templates, security headers, rate limits, error pages, mail and sign-in clients.

It imports no page. Pages import it.
"""
