"""The errors neurosim raises on purpose; each is also the matching builtin.

A message says where, what was given, what is allowed and the cure. The command
line prints it without a traceback: exit status 2 for a wrong request
(:class:`RequestError` and its children), 1 for a run that failed.
"""


class NeurosimError(Exception):
    """Base of every error raised on purpose."""


class RequestError(NeurosimError, ValueError):
    """What the user asked for is wrong: a file, an option, a value."""


class ParamsError(RequestError):
    """A params file is wrong; the message starts with ``file:line:``."""


class NetworkError(RequestError):
    """The declared layers and connections do not fit together."""


class StimulusError(RequestError, OSError):
    """An input image, list or dataset is missing, empty or damaged."""


class RunFileError(RequestError, OSError):
    """A result file or checkpoint is missing, damaged or of another format."""


class DivergenceError(NeurosimError, ArithmeticError):
    """Potentials or an energy grew without bound or became NaN."""


class RunFailedError(NeurosimError, RuntimeError):
    """A run could not go on: a full disk, a vanished input, a requirement that did not hold."""
