"""A mail server for tests: one way to behave, and what was sent to it as JSON, one mail a line.

Arguments: how it behaves, a certificate and its key (PEM). Prints its port first. Speaks STARTTLS, and takes no mail from anybody who
is not signed in as `mainstay` with `secret` behind it.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

WAY, CERTIFICATE, KEY = sys.argv[1:4]


def authenticate(server, session, envelope, mechanism, login):
    good = login is not None and (login.login, login.password) == (b"mainstay", b"secret")
    return AuthResult(success=good, handled=False)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if WAY == "refuse":
            return "550 5.1.1 nobody here has that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if WAY == "busy":
            return "451 4.3.0 try again later"
        if WAY == "hang":
            await asyncio.sleep(3600)
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None}
        mail["source"] = envelope.content.decode("utf-8", "replace")
        print(json.dumps(mail), flush=True)
        return "250 OK"


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)

    def made():
        return SMTP(
            Handler(),
            hostname="localhost",
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            auth_require_tls=True,
            authenticator=authenticate,
        )

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # It goes when the test does.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
