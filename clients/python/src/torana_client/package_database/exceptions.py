"""What the facade raises. What the gateway refuses, such as a QUOTA, is a `torana_client.ToranaError`."""


class BaseError(Exception):
    """The base of the facade's own exceptions."""


class NotFoundError(BaseError):
    """The user has no such spec."""


class UnsupportedError(BaseError):
    """The old database did this, and the gateway does not; the message says what to do in its place."""


class ConfigurationError(BaseError):
    """A variable of the environment is missing or wrong."""
