"""What the user can mend."""


class UserError(Exception):
    """A fault whose cause and mend the message names: a setting, a scope, a file. Shown without a traceback; exit code 2.

    The message never holds an address, a name, a source's id, a key or a word of content.
    """
