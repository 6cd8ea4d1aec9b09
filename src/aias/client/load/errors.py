"""What can go wrong before there is anything to measure."""

from aias.core.errors import NotFound, Refused, UserError


class NoServer(UserError):
    """Nothing answers at the address"""

    code = "load.no-server"


class KeyRefused(Refused):
    """The server does not take the key, or it lacks the scope `predict`"""

    code = "load.key-refused"


class NoSuchEndpoint(NotFound):
    """The server has no endpoint of that name"""

    code = "load.no-such-endpoint"


class RequestRefused(UserError):
    """The server does not answer the request that it would be loaded with"""

    code = "load.request-refused"
