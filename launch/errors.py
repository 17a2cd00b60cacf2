"""Errors that end a command with one line."""


class LaunchError(Exception):
    """The command cannot go on: the message says what is wrong and what to do. Exit code 1."""

    exit_code = 1


class UsageError(LaunchError):
    """The user asked for something that cannot be done. Exit code 2."""

    exit_code = 2
