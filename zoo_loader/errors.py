"""The two exceptions that zoo_loader raises for what its users hand it."""


class ZooFileError(ValueError):
    """A weight file cannot be used: damaged, hostile, of another format, missing, or not the file it claims to be.

    Args:
        name: The file, as its reader would recognise it (a path or a catalogue name).
        reason: One clause or more: what was seen, what was expected, and what to do.
    """

    def __init__(self, name: object, reason: str):
        super().__init__(f"{name}: {reason}")
        self.name = str(name)
        self.reason = reason

    def __reduce__(self):
        # The default would call the class with the joined message alone, and break in worker processes.
        return type(self), (self.name, self.reason)


class UnknownNameError(LookupError):
    """A name is neither in the catalogue nor the path of a file. (Not a KeyError: those print their message quoted.)"""
