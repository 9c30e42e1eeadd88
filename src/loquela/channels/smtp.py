"""Mail, through a server that is reached like any other address here: checked, pinned, within a time limit."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from uuid import uuid5

from loquela.channels.contract import not_told
from loquela.channels.post import PRIVATE, TIMEOUT_SECONDS, TOTAL_SECONDS
from loquela.core.errors import RecipeError, ResourceError
from loquela.monitoring.alerts.channel_settings import EmailChannel
from loquela.monitoring.alerts.notification import NAMESPACE, Notification
from loquela.security.addresses import Resolver, permitted_addresses, resolve_host

# What we call ourselves to the server: the machine's own name is nobody's business, and asking for it can take long.
OWN_NAME = "localhost"


class _Pinned(smtplib.SMTP):
    """Connects to `address` while TLS proves the name; whatever the server does, it ends after `total_seconds`."""

    def __init__(self, host: str, port: int, address: str, timeout_seconds: float, total_seconds: float) -> None:
        self._address = address
        self._total_seconds = total_seconds
        self._timer: threading.Timer | None = None
        super().__init__(host, port, local_hostname=OWN_NAME, timeout=timeout_seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found = self._connected(port, timeout)
        self._timer = threading.Timer(self._total_seconds, _cut, [found])
        self._timer.daemon = True
        self._timer.start()
        return found

    def _connected(self, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((self._address, port), timeout)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().close()


class _PinnedTls(_Pinned):
    """The same over TLS from the first byte."""

    def __init__(
        self, host: str, port: int, address: str, timeout_seconds: float, total_seconds: float, tls: ssl.SSLContext
    ) -> None:
        self._tls = tls
        self._name = host
        super().__init__(host, port, address, timeout_seconds, total_seconds)

    def _connected(self, port: int, timeout: float) -> socket.socket:
        plain = super()._connected(port, timeout)
        try:
            return self._tls.wrap_socket(plain, server_hostname=self._name)
        except OSError:
            plain.close()
            raise


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it had ended by itself


@dataclass(frozen=True)
class Email:
    """`login` is username and password, or nothing."""

    settings: EmailChannel
    allow_private: bool
    login: tuple[str, str] | None = field(default=None, repr=False)
    timeout_seconds: float = TIMEOUT_SECONDS
    total_seconds: float = TOTAL_SECONDS
    resolver: Resolver = field(default=resolve_host)

    def send(self, notification: Notification) -> None:
        """One mail to all; an end answers the mail of its beginning."""
        deadline = time.monotonic() + self.total_seconds
        try:
            server = self._connected()
            try:
                refused = self._sent(server, notification)
            finally:
                server.close()
        except smtplib.SMTPException as error:
            # What a server said in a line that was cut off means nothing.
            late = time.monotonic() >= deadline
            raise (
                self._not_told("it did not answer in time", retryable=True) if late else self._failed(error)
            ) from error
        except UnicodeError:
            raise self._not_told("username or password has letters that the protocol does not know") from None
        except ssl.SSLCertVerificationError as error:
            why = "its certificate does not prove its name"
            raise self._not_told(why, remedy="give its authority (PEM file), or correct host") from error
        except OSError as error:
            raise self._not_told(f"the connection failed ({type(error).__name__})", retryable=True) from error
        if refused:
            raise self._not_told(f"it refuses {refused} of {len(self.settings.to)} recipients")

    def _connected(self) -> smtplib.SMTP:
        settings = self.settings
        context = ssl.create_default_context(cafile=settings.authority)
        failure: OSError | None = None
        for address in self._addresses():
            where = (settings.host, settings.port, address, self.timeout_seconds, self.total_seconds)
            try:
                server = _PinnedTls(*where, context) if settings.security == "tls" else _Pinned(*where)
            except ssl.SSLCertVerificationError:
                raise
            except OSError as error:
                failure = error
                continue
            if settings.security == "starttls":
                server.starttls(context=context)
            return server
        raise failure or OSError("no address")

    def _addresses(self) -> list[str]:
        host, port = self.settings.host, self.settings.port
        try:
            return permitted_addresses(host, port, allow_private=self.allow_private, resolver=self.resolver)
        except RecipeError as error:
            raise self._not_told("it leads to an address that is not public", remedy=PRIVATE) from error
        except ResourceError as error:
            raise self._not_told("it has no address", retryable=True) from error

    def _sent(self, server: smtplib.SMTP, notification: Notification) -> int:
        """How many recipients were refused; all of them is an SMTPRecipientsRefused."""
        if self.login is not None:
            server.login(*self.login)
        refused = server.sendmail(self.settings.sender, self.settings.to, self._message(notification))
        server.quit()
        return len(refused)

    def _message(self, notification: Notification) -> bytes:
        message = EmailMessage()
        message["Subject"] = f"[loquela] [{notification.severity}] {notification.title}"
        message["From"] = self.settings.sender
        message["To"] = ", ".join(self.settings.to)
        message["Date"] = formatdate(notification.at)
        message["Message-ID"] = self._mail_id(notification.id.hex)
        if notification.action == "resolve":
            began = self._mail_id(uuid5(NAMESPACE, f"{notification.alert_id}:trigger").hex)
            message["In-Reply-To"] = message["References"] = began
        message["Auto-Submitted"] = "auto-generated"
        text = f"{notification.text}\n\nrule: {notification.rule}\nsubject: {notification.subject}\n"
        # Seven bits, so that it needs nothing of the server.
        message.set_content(text, cte="quoted-printable")
        return message.as_bytes(policy=SMTP)

    def _mail_id(self, name: str) -> str:
        return f"<{name}@{self.settings.sender.partition('@')[2]}>"

    def _failed(self, error: smtplib.SMTPException) -> ResourceError:
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return self._not_told(f"it refuses username and password ({error.smtp_code})")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            answers: dict[str, tuple[int, bytes]] = error.recipients
            later = all(400 <= code < 500 for code, _ in answers.values())
            return self._not_told("it refuses every recipient", retryable=later)
        if isinstance(error, smtplib.SMTPResponseException):
            later = 400 <= error.smtp_code < 500
            return self._not_told(f"it answers {error.smtp_code}", retryable=later)
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return self._not_told("it hung up, or said nothing", retryable=True)
        return self._not_told(f"it cannot what is asked of it ({type(error).__name__})")

    def _not_told(self, why: str, *, retryable: bool = False, remedy: str | None = None) -> ResourceError:
        where = f"of the mail server {self.settings.host}: {why}"
        return not_told(self.settings.name, where, retryable=retryable, remedy=remedy)
