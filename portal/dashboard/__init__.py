"""The pages behind the sign-in: the log, figures, the queue of complaints.

``auth`` checks who is signed in and what they may do, and records what they open.
"""
