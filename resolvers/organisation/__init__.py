"""Sites and projects: who works in them, with which roles, devices and services."""
