"""Who calls: signed tokens, client certificates, headers of a trusted proxy, imported
members, and who may look at them."""

import base64
import gzip
import http.client
import http.server
import json
import os
import signal
import ssl
import subprocess
import tempfile
import threading
import time

import hostile
from dev_certs import DevCerts, openssl
from proxy import COMMAND, PATIENCE, Assay, wait_for

ISSUER = 'https://login.example.com'
PAUSE_SECONDS = 11  # between two fetches of an issuer's keys
CA_CONFIG = '''\
[ca]
default_ca = own
[own]
database = %(folder)s/index
serial = %(folder)s/serial
crlnumber = %(folder)s/serial
certificate = %(folder)s/ca.pem
private_key = %(folder)s/ca.key
default_md = sha256
default_crl_days = 30
'''


# --- tokens ---------------------------------------------------------------------------


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


class Key:
    """An RSA key of an issuer."""

    def __init__(self, folder, name):
        self.name = name
        self.file = os.path.join(folder, name + '.key')
        openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048',
                '-out', self.file)

    def jwk(self):
        text = subprocess.run(['openssl', 'rsa', '-in', self.file, '-modulus', '-noout'],
                              capture_output=True, text=True, check=True).stdout
        modulus = bytes.fromhex(text.strip().partition('=')[2])
        return {'kty': 'RSA', 'use': 'sig', 'kid': self.name, 'n': b64(modulus), 'e': 'AQAB'}

    def token(self, **claims):
        header = {'alg': 'RS256', 'kid': self.name, 'typ': 'JWT'}
        claims = {'iss': ISSUER, 'aud': 'assay', 'exp': int(time.time()) + 600, **claims}
        text = '.'.join(b64(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', self.file],
                                   input=text.encode(), capture_output=True, check=True)
        return text + '.' + b64(signature.stdout)


class Issuer:
    """Serves a key set on loopback, over TLS; `keys` None: it is broken."""

    def __init__(self, certs, *keys):
        self.keys = keys
        self.asked = 0
        self.agents = []  # the User-Agent fields of the last request
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                issuer.agents = self.headers.get_all('user-agent', [])
                body = json.dumps({'keys': [key.jwk() for key in issuer.keys or ()]}).encode()
                self.send_response(200 if issuer.keys else 500)
                self.send_header('content-length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that does not trust it
        self.server.socket = certs.server_context().wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = 'https://127.0.0.1:%d/.well-known/jwks.json' % self.server.server_port

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


# --- calls ----------------------------------------------------------------------------


class Provider(hostile.Upstream):
    def answer(self, sock, head, body):
        sock.sendall(hostile.GOOD)
        return True


def house(upstream, listen, **settings):
    return Assay({'openai': {'url': upstream.url, 'dialects': ['openai'], 'default': True,
                             'credential': 'env:UPSTREAM_KEY'}},
                 {'workers': 1, **settings}, listen)


def call(assay, context=None, body=None, **headers):
    """The status of a call, what the reply says, and its head."""
    if context is None:
        connection = http.client.HTTPConnection('127.0.0.1', assay.port, timeout=PATIENCE)
    else:
        connection = http.client.HTTPSConnection('127.0.0.1', assay.port, timeout=PATIENCE,
                                                 context=context)
    try:
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        if body is None:
            connection.request('GET', '/openai/v1/models', headers=headers)
        else:
            connection.request('POST', '/openai/v1/chat/completions', body, headers)
        reply = connection.getresponse()
        assay.last = reply.headers['assay-exchange-id']
        return reply.status, reply.read().decode(errors='replace'), reply.headers
    finally:
        connection.close()


def status(assay, context=None, **headers):
    return call(assay, context, **headers)[0]


def bearer(token):
    return {'authorization': 'Bearer ' + token}


def who(assay):
    """Team, caller, tags and service of the last call, as the ledger has it."""
    record = next(one for one in assay.export_all([assay.last]) if one['id'] == assay.last)
    return tuple(record.get(name) for name in ('team', 'caller', 'tags', 'service'))


# --- cases ----------------------------------------------------------------------------


def tokens(results, folder):
    first, second = Key(folder, 'k1'), Key(folder, 'k2')
    teams = {'tests': {'callers': ['tester'], 'tags': {'cost_centre': '7'}},
             'guests': {'tags': {'cost_centre': '9'}}}
    certs = DevCerts(folder)
    corp = {'issuer': ISSUER, 'audience': ['assay'], 'ca': certs.ca, 'default_team': 'guests',
            'claims': {'caller': 'email', 'tags': {'project': 'prj'}}}
    with Provider() as upstream, Issuer(certs, first) as issuer, house(
            upstream, {'identify': ['key', 'jwt']}, teams=teams,
            issuers={'corp': {**corp, 'jwks': issuer.url}}) as assay:
        token = first.token(email='eve@example.com', prj='atlas')
        results.ok(wait_for(lambda: status(assay, **bearer(token)) == 200),
                   'a token of an issuer is taken', call(assay, **bearer(token)))
        results.ok(len(issuer.agents) == 1 and issuer.agents[0].startswith('assay/'),
                   'assay says once who fetches the keys', issuer.agents)
        named = who(assay)
        results.ok(named[:2] == ('guests', 'eve@example.com') and
                   set(named[2]) == {'cost_centre=9', 'project=atlas'},
                   'a stranger lands in the default team, with his tags', named)
        long = first.token(email='eve@example.com', prj='p' * 120)
        results.ok(status(assay, **bearer(long)) == 200 and
                   who(assay)[2] == ['cost_centre=9', 'tags_left_out=1'],
                   'a tag that a record has no room for is said to be missing', who(assay))
        results.ok(all(token.encode() not in head for head in upstream.heads) and
                   all(b'sk-upstream' in head for head in upstream.heads),
                   'the provider sees its own key, never the token')
        refusals = [call(assay, **bearer(first.token(email='e', **claims)))
                    for claims in ({'aud': 'other'}, {'exp': int(time.time()) - 90},
                                   {'iss': ISSUER + '/'}, {'nbf': int(time.time()) + 90})]
        results.ok([refusal[0] for refusal in refusals] == [401] * 4 and
                   'audience' in refusals[0][1] and 'expired' in refusals[1][1],
                   'other audiences, issuers and times are refused', refusals)
        results.ok(status(assay, **bearer(token), x_assay_key=assay.key) == 401,
                   'a token and a key are one credential too many')
        results.ok(status(assay, x_api_key=token) == 200 and
                   status(assay, **bearer(assay.key)) == 200, 'keys go on to be taken')
        stranger(results, corp, first, issuer, upstream, teams)
        rotation(results, assay, issuer, second)
        outage(results, assay, issuer, second)


def stranger(results, corp, key, issuer, upstream, teams):
    """Keys from a host that cannot prove who it is."""
    corp = {name: value for name, value in corp.items() if name != 'ca'}
    asked = issuer.asked
    with house(upstream, {'identify': ['jwt']}, teams=teams,
               issuers={'corp': {**corp, 'jwks': issuer.url}}) as assay:
        time.sleep(0.5)
        results.ok(status(assay, **bearer(key.token(email='tester'))) == 503 and
                   issuer.asked == asked and wait_for(lambda: 'corp' in assay.log_tail()),
                   'keys come over verified TLS only', assay.log_tail(5))


def rotation(results, assay, issuer, second):
    issuer.keys = (second,)
    token = second.token(email='tester')
    time.sleep(PAUSE_SECONDS)
    asked = issuer.asked
    early = call(assay, **bearer(token))
    results.ok(early[0] == 503 and early[2].get('x-should-retry') == 'true',
               'a token of a new key may be tried again', early)
    results.ok(wait_for(lambda: status(assay, **bearer(token)) == 200),
               'the new key has been fetched', call(assay, **bearer(token)))
    _, claims, signature = token.split('.')
    began = time.monotonic()
    for number in range(20):
        head = b64(json.dumps({'alg': 'RS256', 'kid': 'x%d' % number}).encode())
        status(assay, **bearer('.'.join((head, claims, signature))))
    most = 1 + int((time.monotonic() - began) / (PAUSE_SECONDS - 1))
    results.ok(issuer.asked <= asked + most, 'unknown keys make no flood of fetches',
               issuer.asked - asked, most)


def outage(results, assay, issuer, second):
    issuer.keys = None
    token = second.token(email='tester')
    assay.reload()
    time.sleep(1)
    results.ok(status(assay, **bearer(token)) == 200,
               'while the issuer fails, the last good keys hold')
    assay.stop()
    assay.start()
    results.ok(wait_for(lambda: status(assay, **bearer(second.token(email='tester'))) == 200),
               'also over a restart', assay.log_tail(5))
    results.ok('last good ones' in assay.log_tail(40), 'and the log tells of it',
               assay.log_tail(10))


def certificates(results, folder):
    def mint(*arguments):
        subprocess.run([*COMMAND, 'certs', '--out', folder, *arguments], check=True,
                       capture_output=True)

    def context(name=None):
        made = ssl.create_default_context(cafile=os.path.join(folder, 'ca.pem'))
        if name is not None:
            made.load_cert_chain(os.path.join(folder, name + '.pem'),
                                 os.path.join(folder, name + '.key'))
        return made

    mint('--name', '127.0.0.1')
    mint('--client', '--spiffe', 'spiffe://example.com/ci', '--file', 'ci')
    mint('--client', '--name', 'tester', '--file', 'person')
    mint('--client', '--name', 'gone', '--file', 'gone')
    mint('--client', '--name', 'tester', '--name', 'second', '--file', 'two')
    crl = revoke(folder, 'gone')
    listen = {'identify': ['key', 'certificate'], 'default_team': 'tests', 'tls': {
        'certificates': [{'chain': os.path.join(folder, 'server.pem'),
                          'key': os.path.join(folder, 'server.key')}],
        'clients': {'ca': os.path.join(folder, 'ca.pem'), 'required': False, 'crl': crl,
                    'names': ['spiffe', 'dns', 'cn']}}}
    teams = {'tests': {'callers': ['tester'], 'services': ['ci'],
                       'aliases': {'spiffe://example.com/ci': 'ci'}}}
    with Provider() as upstream, house(upstream, listen, teams=teams) as assay:
        results.ok(status(assay, context('ci')) == 200, 'a client certificate is taken',
                   call(assay, context('ci')))
        named = who(assay)
        results.ok(named[:2] == ('tests', 'ci') and named[3], 'its SPIFFE id names a service',
                   named)
        results.ok(status(assay, context('person')) == 200 and
                   who(assay)[:2] == ('tests', 'tester'), 'another one names a person')
        results.ok(status(assay, context('person'), **bearer(assay.key)) == 401,
                   'a certificate and a key are one credential too many')
        results.ok(status(assay, context(), **bearer(assay.key)) == 200 and
                   status(assay, context()) == 401, 'without one a key is needed')
        results.ok(status(assay, context('two')) == 401, 'nor do two names name anybody')
        try:
            refused = status(assay, context('gone'), **bearer(assay.key))
        except (ssl.SSLError, ConnectionError) as problem:
            refused = problem
        results.ok(not isinstance(refused, int), 'a revoked one fails the handshake', refused)


def revoke(folder, name):
    config = os.path.join(folder, 'ca.cnf')
    for file, text in (('index', ''), ('serial', '1000\n'),
                       ('ca.cnf', CA_CONFIG % {'folder': folder})):
        with open(os.path.join(folder, file), 'w', encoding='ascii') as out:
            out.write(text)
    openssl('ca', '-config', config, '-revoke', os.path.join(folder, name + '.pem'))
    crl = os.path.join(folder, 'revoked.pem')
    openssl('ca', '-config', config, '-gencrl', '-out', crl)
    return crl


def trusted_headers(results, _):
    def trusting(*addresses):
        return {'identify': ['key', 'header'], 'trusted_header': {
            'name': 'x-corp-user', 'team': 'x-corp-groups', 'from': list(addresses)}}

    teams = {'tests': {'callers': ['tester']}, 'blue': {'callers': ['second']}}
    with Provider() as upstream, house(upstream, trusting('127.0.0.0/8'),
                                       teams=teams) as assay:
        results.ok(status(assay, x_corp_user='second') == 200 and
                   who(assay)[:2] == ('blue', 'second'), 'a proxy names the caller')
        results.ok(status(assay, x_corp_user='tester', x_corp_groups='none, blue') == 200 and
                   who(assay)[:2] == ('blue', 'tester'), 'and the team')
        results.ok(status(assay, x_corp_user='stranger') == 403,
                   'who is in no team is refused', call(assay, x_corp_user='stranger'))
        results.ok(status(assay, x_corp_user='tester', **bearer(assay.key)) == 401,
                   'beside it no key')
        results.ok(all(b'corp' not in head.lower() for head in upstream.heads),
                   'the provider sees none of it', upstream.heads)
    with Provider() as upstream, house(upstream, trusting('10.0.0.0/8', '127.0.0.2'),
                                       teams=teams) as assay:
        results.ok(status(assay, x_corp_user='tester') == 401 and
                   status(assay, x_corp_user='tester', **bearer(assay.key)) == 200 and
                   b'corp' not in upstream.heads[-1].lower(),
                   'from elsewhere it names nobody, and goes nowhere')


def imported(results, folder):
    def write(text):
        path = os.path.join(folder, 'members.csv')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    header = {'identify': ['key', 'header'],
              'trusted_header': {'name': 'x-user', 'from': ['127.0.0.1']}}
    with Provider() as upstream, house(upstream, header) as assay:
        results.ok(status(assay, x_user='00u17') == 403, 'a stranger is refused')
        assay.run('teams', 'import', write(
            'team,caller,alias,service,cost_centre,project\n'
            'red,"zoe"\nred,dan,00u17,,4711,"at""las"\r\nred,nightly,,yes,4712,\n'))
        results.ok(wait_for(lambda: status(assay, x_user='00u17') == 200),
                   'once imported he is known, without a restart')
        named = who(assay)
        results.ok(named[:2] == ('red', 'dan') and
                   named[2] == ['cost_centre=4711', 'project=at"las'], 'with his tags', named)
        status(assay, x_user='nightly')
        named = who(assay)
        results.ok(named[1] == 'nightly' and named[3], 'a service is one', named)
        report = json.loads(assay.run('report', '--by', 'tag', '--format', 'json'))
        calls = {row['tag']: row['calls'] for row in report['rows']}
        results.ok(calls.get('cost_centre=4712') == 1 and calls.get(
            'cost_centre=4711,project=at"las', 0) > 0, 'the report sums up by tags', report)
        key = assay.run('keys', 'add', '--team', 'red', '--caller', 'dan').strip()
        results.ok(wait_for(lambda: status(assay, **bearer(key)) == 200),
                   'an imported member can hold a key')
        broken = subprocess.run(
            [*COMMAND, 'teams', 'import', write('team,caller,x\nred,a b\nred,e,f,g\nred,c,"d\n'),
             '--config', assay.file], capture_output=True, text=True, check=False)
        results.ok(broken.returncode == 1 and 'members.csv:2:2:' in broken.stderr and
                   'members.csv:3:4: 4 cells, in 3 columns' in broken.stderr and
                   status(assay, x_user='00u17') == 200,
                   'of a file with mistakes nothing is taken', broken.stderr)
        listed = json.loads(assay.run('teams', 'list', '--format', 'json'))
        results.ok({row['caller'] for row in listed} ==
                   {'tester', 'second', 'zoe', 'dan', 'nightly'}, 'all are listed', listed)


def admin_get(assay, path, token=None, context=None):
    if context is None:
        connection = http.client.HTTPConnection('127.0.0.1', assay.admin_port, timeout=PATIENCE)
    else:
        connection = http.client.HTTPSConnection('127.0.0.1', assay.admin_port, timeout=PATIENCE,
                                                 context=context)
    try:
        connection.request('GET', path, headers=bearer(token) if token else {})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def lookers(results, folder):
    subprocess.run([*COMMAND, 'certs', '--out', folder, '--name', '127.0.0.1'], check=True,
                   capture_output=True)
    subprocess.run([*COMMAND, 'certs', '--out', folder, '--client', '--name', 'scraper',
                    '--file', 'scraper'], check=True, capture_output=True)
    users = {'ops': {'role': 'operator', 'token': 'env:OPS'},
             'revision': {'role': 'auditor', 'token': 'env:AUDIT'},
             'lea': {'role': 'lead', 'team': 'blue', 'token': 'env:LEAD'},
             'scraper': {'role': 'operator', 'certificate': 'scraper'}}
    teams = {'tests': {'callers': ['tester']}, 'blue': {'callers': ['second']}}
    quotas = [{'name': 'daily', 'each': 'caller', 'limit': '100 requests', 'per': 'day'}]
    with Provider() as upstream:
        assay = house(upstream, {}, teams=teams, quotas=quotas)
        assay.config['admin'].update(users=users, tls={
            'certificates': [{'chain': os.path.join(folder, 'server.pem'),
                              'key': os.path.join(folder, 'server.key')}],
            'clients': {'ca': os.path.join(folder, 'ca.pem'), 'required': False,
                        'names': ['dns', 'cn']}})
        assay.variables.update(OPS='ops-secret', AUDIT='audit-secret', LEAD='lead-secret')
        assay.write_config()
        with assay:
            looks(results, assay, folder)


def looks(results, assay, folder):
    context = ssl.create_default_context(cafile=os.path.join(folder, 'ca.pem'))

    def get(path, token=None, other=None):
        return admin_get(assay, path, token, other or context)

    second = assay.run('keys', 'add', '--team', 'blue', '--caller', 'second').strip()
    wait_for(lambda: status(assay, **bearer(second)) == 200)
    call(assay, body='{"model":"gpt-4o","messages":[]}', **bearer(assay.key))
    wait_for(lambda: 'tester' in get('/v1/callers', 'audit-secret')[1])
    results.ok(get('/healthz')[0] == 200 and get('/readyz')[0] == 200,
               'health needs no credential')
    results.ok([get(path, token)[0] for token in (None, 'wrong', '')
                for path in ('/metrics', '/v1/exchanges', '/v1/quotas', '/v1/callers',
                             '/v1/callers/tester', '/v1/findings')] == [401] * 18,
               'everything else does')
    results.ok(get('/metrics', 'ops-secret')[0] == 200 and
               get('/v1/exchanges', 'ops-secret')[0] == 403 and
               get('/v1/callers/tester', 'ops-secret')[0] == 403 and
               'tester' not in get('/v1/quotas', 'ops-secret')[1],
               'an operator sees how assay does, not who did what')
    everybody = get('/v1/callers', 'audit-secret')[1]
    results.ok({row['caller'] for row in json.loads(everybody)['callers']} ==
               {'tester', 'second'}, 'an auditor sees everybody', everybody)
    one = json.loads(get('/v1/callers/tester', 'audit-secret')[1])
    results.ok(one['callers'][0]['exchanges'] >= 1 and one['quotas'][0]['name'] == 'daily' and
               one['quotas'][0]['used'] >= 1, 'and what one of them used', one)
    newest = json.loads(get('/v1/exchanges', 'audit-secret')[1])['exchanges']
    ids = [record['id'] for record in newest]
    one = json.loads(get('/v1/exchanges?limit=1', 'audit-secret')[1])['exchanges']
    results.ok(len(ids) >= 2 and ids == sorted(ids, reverse=True) and one == newest[:1] and
               {record['caller'] for record in newest} == {'tester', 'second'},
               'and the newest calls, the last one first', newest)
    lead = [get(path, 'lead-secret') for path in
            ('/v1/callers', '/v1/exchanges', '/v1/quotas', '/v1/callers/second')]
    results.ok(all(reply[0] == 200 and 'tester' not in reply[1] for reply in lead) and
               'second' in lead[0][1] and get('/v1/callers/tester', 'lead-secret')[0] == 404,
               'a lead sees his team alone', lead)
    scraper = ssl.create_default_context(cafile=os.path.join(folder, 'ca.pem'))
    scraper.load_cert_chain(os.path.join(folder, 'scraper.pem'),
                            os.path.join(folder, 'scraper.key'))
    results.ok(get('/metrics', other=scraper)[0] == 200 and
               get('/v1/exchanges', other=scraper)[0] == 403 and
               get('/metrics', 'wrong', scraper)[0] == 401,
               'a certificate is as good as a token')
    with open(os.path.join(assay.config['state'], 'audit.log'), encoding='utf-8') as file:
        text = file.read()
    events = [json.loads(line) for line in text.splitlines()]
    told = {(event['actor'], event['action'], event['what']) for event in events}
    results.ok({('revision', 'read', '/v1/callers/tester'), ('lea', 'read', '/v1/exchanges'),
                ('ops', 'refused', '/v1/exchanges'), ('', 'refused', '/v1/callers')} <= told and
               any(event['action'] == 'keys add' for event in events),
               'the audit log tells who looked at what', *sorted(told))
    results.ok('secret' not in text and assay.key not in text, 'and no credential')
    assay.config['admin']['users'].pop('ops')
    assay.reload()
    results.ok(wait_for(lambda: get('/metrics', 'ops-secret')[0] == 401),
               'a reload changes who may look')


def myself(results, folder):
    """What is said of oneself: for whoever proves who he is, as on the data path."""
    def file(name):
        return os.path.join(folder, name)

    def context(name=None):
        made = ssl.create_default_context(cafile=file('ca.pem'))
        if name is not None:
            made.load_cert_chain(file(name + '.pem'), file(name + '.key'))
        return made

    for arguments in (['--name', '127.0.0.1'], ['--client', '--name', 'tester', '--file', 'me'],
                      ['--client', '--name', 'nobody', '--file', 'stranger']):
        subprocess.run([*COMMAND, 'certs', '--out', folder, *arguments], check=True,
                       capture_output=True)
    key = Key(folder, 'k1')
    with open(file('jwks.json'), 'w', encoding='ascii') as out:
        json.dump({'keys': [key.jwk()]}, out)
    tls = {'certificates': [{'chain': file('server.pem'), 'key': file('server.key')}],
           'clients': {'ca': file('ca.pem'), 'required': False, 'names': ['dns', 'cn']}}
    issuer = {'issuer': ISSUER, 'audience': ['assay'], 'jwks': 'file:' + file('jwks.json')}
    with Provider() as upstream:
        assay = house(upstream, {'identify': ['key', 'jwt', 'certificate'], 'tls': tls},
                      issuers={'corp': issuer})
        assay.config['admin'].update(tls=tls, users={'ops': {'role': 'operator',
                                                             'token': 'env:OPS'}})
        assay.variables['OPS'] = 'ops-secret'
        assay.write_config()
        with assay:
            def me(token=None, name=None):
                return admin_get(assay, '/v1/me', token, context(name))

            token = key.token(sub='tester')
            good = [me(assay.key), me(token), me(name='me')]
            bad = [me(), me('ops-secret'), me(key.token(sub='tester', exp=1)),
                   me(assay.key, 'me'), me(name='stranger')]
            assay.config['listen'][0]['identify'] = ['key', 'certificate']
            assay.config.pop('issuers')
            assay.reload()
            results.ok(wait_for(lambda: me(token)[0] == 401) and me(name='me')[0] == 200,
                       'a reload that takes no tokens any more holds here, too', me(token))
    results.ok([reply[0] for reply in good] == [200] * 3 and
               all('callers' in json.loads(reply[1]) for reply in good),
               'what is said of me is for my key, my token and my certificate', good)
    results.ok([reply[0] for reply in bad] == [401, 401, 401, 401, 403],
               'and for nobody else', bad)


def own_logins(results, folder):
    """People keep their own login with the provider; the caller comes in x-assay-key."""
    key = Key(folder, 'k1')
    jwks = os.path.join(folder, 'jwks.json')
    with open(jwks, 'w', encoding='ascii') as file:
        json.dump({'keys': [key.jwk()]}, file)
    with Provider() as upstream, Assay(
            {'anthropic': {'url': upstream.url, 'dialects': ['anthropic'],
                           'credential': 'passthrough'}},
            {'workers': 1, 'issuers': {'corp': {
                'issuer': ISSUER, 'audience': ['assay'], 'jwks': 'file:' + jwks}}},
            {'identify': ['key', 'jwt']}) as assay:
        def send(**headers):
            connection = http.client.HTTPConnection('127.0.0.1', assay.port, timeout=PATIENCE)
            connection.request('POST', '/anthropic/v1/messages', '{"model":"m"}', {
                name.replace('_', '-'): value for name, value in headers.items()})
            reply = connection.getresponse()
            assay.last = reply.headers['assay-exchange-id']
            reply.read()
            connection.close()
            return reply.status

        login = {'authorization': 'Bearer sk-ant-oat01-own', 'anthropic_beta': 'oauth-2025-04-20',
                 'chatgpt_account_id': 'acc-1'}
        results.ok(send(x_assay_key=assay.key, **login) == 200, 'a login of one\'s own passes')
        head = upstream.heads[-1]
        results.ok(b'Bearer sk-ant-oat01-own' in head and b'oauth-2025-04-20' in head and
                   b'acc-1' in head and b'x-assay-key' not in head.lower() and
                   assay.key.encode() not in head, 'as it came, without the virtual key', head)
        token = key.token(sub='second')
        results.ok(send(x_assay_key=token, **login) == 200 and
                   token.encode() not in upstream.heads[-1] and
                   who(assay)[:2] == ('tests', 'second'), 'the caller may be a token')
        seen = len(upstream.heads)
        results.ok([send(**login), send(x_assay_key='assay_wrong', **login),
                    send(x_assay_key=assay.key, x_api_key='sk-two', **login)] == [401] * 3 and
                   len(upstream.heads) == seen, 'not without a caller, nor with two logins')


class Listener(Provider):
    """Keeps bodies, too."""

    def __init__(self):
        super().__init__()
        self.bodies = []

    def answer(self, sock, head, body):
        self.bodies.append(body)
        return super().answer(sock, head, body)

    def head_field(self, name):
        found = [line.partition(b': ')[2].decode() for line in self.heads[-1].split(b'\r\n')
                 if line.lower().startswith(name.encode() + b':')]
        return found


def told(results, _):
    with Listener() as upstream:
        def provider(dialect, field):
            return {'url': upstream.url, 'dialects': [dialect], 'credential': 'env:UPSTREAM_KEY',
                    'tag': {'header': 'x-who', 'field': field}}

        with Assay({'openai': provider('openai', 'safety_identifier'),
                    'anthropic': provider('anthropic', 'metadata.user_id'),
                    'bedrock': provider('bedrock', 'requestMetadata'),
                    'plain': {**provider('openai', 'none'), 'tag': {}}},
                   {'workers': 1}) as assay:
            tell(results, assay, upstream)
            tag = upstream.head_field('x-who')[0]
            rows = json.loads(assay.run('teams', 'list', '--told', '--format', 'json'))
            results.ok([row['caller'] for row in rows if row['told'] == tag] == ['tester'],
                       'the operator can tell whose tag it is', tag, rows)


def tell(results, assay, upstream):
    def send(path, body, key=None, **headers):
        head = ''.join('%s: %s\r\n' % (name.replace('_', '-'), value)
                       for name, value in {**bearer(key or assay.key), **headers}.items())
        text = 'POST %s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %d\r\n\r\n' % (
            path, head, len(body))
        before = len(upstream.bodies)
        reply = hostile.exchange(assay.port, text.encode() + body, whole=True)
        came = upstream.bodies[-1] if len(upstream.bodies) > before else None
        return hostile.status_of(reply), came

    chat, message = '/openai/v1/chat/completions', '/anthropic/v1/messages'
    send(chat, b'{"model":"gpt-4o"}', x_who='the boss', X_Who='him')
    tag = (upstream.head_field('x-who') or [''])[0]
    results.ok(len(upstream.head_field('x-who')) == 1 and len(tag) == 32 and
               'tester' not in tag, 'a header tells who calls, whatever the client says',
               upstream.heads[-1])
    second = assay.add_key('second')
    wait_for(lambda: send(chat, b'{}', second)[0] == 200)
    results.ok(upstream.head_field('x-who') not in ([tag], []), 'another caller is another')
    cases = (
        (chat, b'{"model":"gpt-4o"}', b'{"safety_identifier":"TAG","model":"gpt-4o"}'),
        (chat, b'{"model":"gpt-4o", "safety_identifier" : "me\\n" }',
         b'{"model":"gpt-4o", "safety_identifier" : "TAG" }'),
        (chat, b' { } ', b' {"safety_identifier":"TAG" } '),
        (chat, b'{"a":{"safety_identifier":"x"}}',
         b'{"safety_identifier":"TAG","a":{"safety_identifier":"x"}}'),
        ('/openai/v1/responses', b'{"safety_identifier":7}', b'{"safety_identifier":"TAG"}'),
        ('/openai/v1/embeddings', b'{"input":"x"}', b'{"input":"x"}'),
        (message, b'{"model":"m","metadata":{}}',
         b'{"model":"m","metadata":{"user_id":"TAG"}}'),
        (message, b'{"metadata":{"x":1},"model":"m"}',
         b'{"metadata":{"user_id":"TAG","x":1},"model":"m"}'),
        (message, b'{"metadata":{"x":1,"user_id":"a_session_b"},"model":"m"}',
         b'{"metadata":{"x":1,"user_id":"TAG"},"model":"m"}'),
        (message, b'{"metadata":null}', b'{"metadata":{"user_id":"TAG"}}'),
        (message, b'{}', b'{"metadata":{"user_id":"TAG"}}'),
        (message + '/count_tokens', b'{"model":"m"}', b'{"model":"m"}'),
        ('/bedrock/model/m/converse', b'{"messages":[]}',
         b'{"requestMetadata":{"caller":"TAG"},"messages":[]}'),
        ('/plain/v1/chat/completions', b'{"model":"gpt-4o"}', b'{"model":"gpt-4o"}'),
    )
    for path, body, wanted in cases:
        reply, came = send(path, body)
        results.ok(reply == 200 and came == wanted.replace(b'TAG', tag.encode()),
                   'told in %s: %s' % (path, body.decode()), reply, came)
    reply, came = send(message, b'{"metadata":{"user_id":"a","user_id":"b"}}')
    results.ok(reply == 400 and came is None, 'a place that stands there twice is refused',
               reply, came)
    long = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"%s"}]}' % (
        os.urandom(30000).hex().encode())
    reply, came = send(chat, gzip.compress(long), content_encoding='gzip')
    results.ok(came == long.replace(
        b'{', b'{"safety_identifier":"%s","stream_options":{"include_usage":true},' %
        tag.encode(), 1), 'also beside the usage, in a compressed body', reply, came and came[:99])
    results.ok(upstream.head_field('content-encoding') == [], 'which then is not compressed')


def run(results):
    for case in (tokens, certificates, trusted_headers, imported, lookers, myself, own_logins,
                 told):
        with tempfile.TemporaryDirectory() as folder:
            case(results, folder)
