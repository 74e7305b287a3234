"""Accounts: users, how one signs in, keys and tokens, and what applications store."""
