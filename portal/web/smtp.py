"""Sends plain-text mails through an SMTP server (RFC 5321), with TLS if the server supports it."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from urllib.parse import unquote, urlsplit

from forbear.storage.accounts.mails import Mail
from forbear.storage.db.records import now

SECONDS = 30
"""Timeout of each step."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server, and the sender's address; ``is_tls``: TLS from the first byte (RFC 8314)."""

    host: str
    port: int
    is_tls: bool
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, sender: str) -> Smtp:
        """Parses ``smtp://[USER:PASSWORD@]HOST[:PORT]`` or ``smtps://…``. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("this is not a mail server: write smtp://HOST:587 or smtps://USER:PASSWORD@HOST")
        port = parts.port or (465 if parts.scheme == "smtps" else 587)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname, port, parts.scheme == "smtps", sender, user, password)

    def send(self, mail: Mail) -> None:
        """Sends a mail. Raises OSError or smtplib.SMTPException; a password is never sent without TLS."""
        context = ssl.create_default_context()
        if self.is_tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        with server:
            server.ehlo()
            if not self.is_tls and server.has_extn("starttls"):
                server.starttls(context=context)
            if self.user:
                if not isinstance(server.sock, ssl.SSLSocket):
                    raise smtplib.SMTPNotSupportedError("The server offers no TLS, and a password is not sent without.")
                server.login(self.user, self.password)
            server.send_message(self._message(mail))

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = mail.recipient
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(now())
        message["Message-ID"] = make_msgid(mail.id, self.sender.rpartition("@")[2].strip(">") or "localhost")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: prevents automatic replies
        if mail.unsubscribe:  # RFC 2369 3.2; one-click needs https (RFC 8058 3.1)
            message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
            if mail.unsubscribe.startswith("https://"):
                message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(mail.body)
        return message
