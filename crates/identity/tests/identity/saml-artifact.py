"""An identity provider that gives artifacts (PyPI `pysaml2`), and the responses that they stand for over a back channel.

saml-artifact.py KEY CERTIFICATE: prints its port. `POST /sp` takes the metadata of the service provider; `POST /mode` says what it does
wrong from then on; `GET /sso` signs somebody in without asking; `POST /artifact` resolves an artifact, once, for whoever has signed.
"""
import base64
import hashlib
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from saml2 import BINDING_HTTP_REDIRECT, BINDING_SOAP, saml
from saml2.authn_context import PASSWORD
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.samlp import artifact_resolve_from_string
from saml2.server import Server
from saml2.sigver import get_xmlsec_binary
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

KEY, CERTIFICATE = sys.argv[1:3]
NAME = 'https://artifact.example/saml'
server, base, mode, kept = None, '', {}, {}


def config(sp=None):
    said = {
        'entityid': NAME, 'key_file': KEY, 'cert_file': CERTIFICATE, 'xmlsec_binary': get_xmlsec_binary(),
        'service': {'idp': {
            'endpoints': {
                'single_sign_on_service': [(base + '/sso', BINDING_HTTP_REDIRECT)],
                'artifact_resolution_service': [(base + '/artifact', BINDING_SOAP)],
            },
            'want_authn_requests_signed': True,
        }},
    }
    if sp:
        said['metadata'] = {'inline': [sp]}
    return IdPConfig().load(said)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, text, headers=()):
        body = text.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == '/metadata':
            return self.answer(200, str(entity_descriptor(config())))
        asked = server.parse_authn_request(
            given['SAMLRequest'], BINDING_HTTP_REDIRECT, given['RelayState'], given['SigAlg'], given['Signature'])
        message = asked.message
        name = saml.NameID(format=saml.NAMEID_FORMAT_PERSISTENT, text='ben-9')
        response = server.create_authn_response(
            {'mail': 'ben@school.example'}, message.id, message.assertion_consumer_service_url, message.issuer.text,
            name_id=name, authn={'class_ref': PASSWORD, 'authn_auth': NAME},
            sign_assertion=not mode.get('unsigned'), sign_response=False,
            sign_alg=mode.get('algorithm', SIG_RSA_SHA256), digest_alg=DIGEST_SHA256)
        # Not by `use_artifact`, which writes the number of the endpoint in digits (SAML bindings, 3.6.4: two bytes).
        source = hashlib.sha1(NAME.encode()).digest()
        artifact = b'\0\4' + mode.get('endpoint', 1).to_bytes(2, 'big') + source + os.urandom(20)
        artifact = base64.b64encode(artifact).decode()
        kept[artifact] = str(response)
        query = urlencode({'SAMLart': artifact, 'RelayState': given['RelayState']})
        self.answer(302, '', [('location', message.assertion_consumer_service_url + '?' + query)])

    def do_POST(self):
        global server
        text = self.rfile.read(int(self.headers['content-length'])).decode()
        if self.path == '/sp':
            server = Server(config=config(text))
            return self.answer(200, '')
        if self.path == '/mode':
            mode.clear()
            mode.update(json.loads(text))
            return self.answer(200, '')
        if mode.get('away'):
            return self.answer(503, '')
        # The signature is one of the message, without what is around it.
        asked = text[text.index('<samlp:ArtifactResolve'):text.index('</soap:Body>')]
        resolve = artifact_resolve_from_string(asked)
        certificates = server.metadata.certs(resolve.issuer.text, 'any', 'signing')
        with open(CERTIFICATE + '.sp', 'w') as file:
            file.write('-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n' % certificates[0][1])
        node = 'urn:oasis:names:tc:SAML:2.0:protocol:ArtifactResolve'
        if not server.sec.verify_signature(asked, CERTIFICATE + '.sp', 'pem', node, resolve.id):
            return self.answer(403, '')
        response = kept.pop(resolve.artifact.text, '')
        response = response[response.index('?>') + 2:] if response.startswith('<?xml') else response
        self.answer(200, '''<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><samlp:ArtifactResponse
 xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_answer" Version="2.0" InResponseTo="%s"><saml:Issuer
 xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">%s</saml:Issuer><samlp:Status><samlp:StatusCode
 Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>%s</samlp:ArtifactResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>
''' % (mode.get('answers', resolve.id), NAME, response), [('content-type', 'text/xml')])


listening = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
base = 'http://127.0.0.1:%d' % listening.server_port
print(listening.server_port, flush=True)
listening.serve_forever()
