// An identity provider that speaks SAML (npm `samlp`), which does wrong what it is told to.
//
// node saml-idp.js MODULES KEY CERTIFICATE: prints its port. `POST /mode` takes options of `samlp` that hold from then on; `GET /sso` and
// `POST /sso` sign somebody in without asking; `POST /sign` signs whatever it is given.
const { createRequire } = require('node:module');
const fs = require('node:fs');
const from = createRequire(process.argv[2] + '/');
const express = from('express');
const samlp = from('samlp');
const { SignedXml } = from('xml-crypto');

const [key, cert] = process.argv.slice(3).map((path) => fs.readFileSync(path, 'utf8'));
const issuer = 'https://idp.example/saml';
const user = { id: 'ann-7', displayName: 'Ann', emails: [{ value: 'ann@school.example' }], name: { givenName: 'Ann', familyName: 'Ash' } };
let mode = {};

const app = express();
app.use(express.json({ limit: '2mb' }));
app.use(express.urlencoded({ extended: false, limit: '2mb' }));
app.use((request, _, next) => { request.user = user; next(); });
app.post('/mode', (request, response) => { mode = request.body; response.json({}); });
app.get('/metadata', (request, response, next) => {
  const options = { issuer, cert: mode.announced || cert, redirectEndpointPath: '/sso', postEndpointPath: '/sso' };
  samlp.metadata(options)(request, response, next);
});
const consumer = (_, message, __, done) => done(null, message.documentElement.getAttribute('AssertionConsumerServiceURL'));
app.all('/sso', (request, response, next) => {
  samlp.parseRequest(request, (error, asked) => {
    if (error) return next(error);
    const acs = asked.assertionConsumerServiceURL;
    const options = { issuer, key, cert, getPostURL: consumer, recipient: acs, destination: acs, nameIdentifierFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent', ...mode };
    if (mode.asked) response.set('x-asked', encodeURIComponent(JSON.stringify(asked)));
    if (mode.error) return samlp.sendError({ ...options, error: mode.error, RelayState: request.query.RelayState, inResponseTo: asked.id, getPostURL: (_, done) => done(null, acs) })(request, response, next);
    samlp.auth(options)(request, response, next);
  });
});
app.post('/sign', (request, response) => {
  const { xml, element, algorithm = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', digest = 'http://www.w3.org/2001/04/xmlenc#sha256' } = request.body;
  const signer = new SignedXml(null, { signatureAlgorithm: algorithm, idAttribute: 'ID' });
  signer.addReference(`//*[local-name(.)='${element}']`, ['http://www.w3.org/2000/09/xmldsig#enveloped-signature', 'http://www.w3.org/2001/10/xml-exc-c14n#'], digest);
  signer.signingKey = key;
  signer.computeSignature(xml, { location: { reference: `//*[local-name(.)='${element}']/*[local-name(.)='Issuer']`, action: 'after' } });
  response.type('text').send(signer.getSignedXml());
});
app.use((error, _, response, __) => response.status(400).type('text').send(String(error)));
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
