"""Resumable uploads over HTTP."""
