"""What cannot be done, said in words for the person at the terminal."""


class Refused(Exception):
    """It cannot go on; the message says why and, where there is one, the way out."""


class NotReady(Exception):
    """A server does not answer as it should yet; the message is its latest answer."""
