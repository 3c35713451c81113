"""Images that a server makes: what to ask it, what it answers, and what can be shown of it.

`client.py` alone imports the HTTP client, and only when a server is asked.
"""

from qiltest.serving.settings import Api, Server

__all__ = ["Api", "Server"]
