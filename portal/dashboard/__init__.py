"""The pages behind the sign-in: the log, figures, the complaints' queue.

``auth`` says who asks and what they may do, and writes down what they opened.
"""
