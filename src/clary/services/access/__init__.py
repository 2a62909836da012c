"""Authorisation: what an operation asks the policies for, and what they say."""
