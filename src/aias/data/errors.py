"""What can be wrong with a file, and with what it holds."""

from aias.core.errors import NotFound, UserError


class Unreadable(UserError):
    """The bytes are not a table that we can read."""

    code = "data.unreadable"


class NoSuchFile(NotFound):
    code = "data.no-such-file"


class TooLarge(UserError):
    code = "data.too-large"


class BadTarget(UserError):
    """The target column cannot be predicted as it stands."""

    code = "data.bad-target"


class BadSplit(UserError):
    code = "data.bad-split"
