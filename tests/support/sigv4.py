"""The receiving side of AWS Signature Version 4: what AWS does with a signed request."""

import hashlib
import hmac
import re
import urllib.parse

FORM = re.compile(r'AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, '
                  r'SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$')


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def canonical_query(query):
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    return '&'.join('%s=%s' % pair for pair in sorted(
        (urllib.parse.quote(name, '-_.~'), urllib.parse.quote(value, '-_.~'))
        for name, value in pairs))


def canonical_request(request, names):
    fields = [(name, ' '.join((request.field(name) or '').split())) for name in names]
    return '\n'.join([
        request.method, urllib.parse.quote(request.path, '/-_.~'),
        canonical_query(request.query), *('%s:%s' % field for field in fields), '',
        ';'.join(names), hashlib.sha256(request.body).hexdigest()])


def objection(request, keys, region, service='bedrock'):
    """Why AWS would refuse the request; None if it would not. `keys`: id -> (secret, session
    token or None)."""
    match = FORM.match(request.field('authorization') or '')
    if match is None:
        return 'no signature: %s' % request.field('authorization')
    key_id, day, named_region, named_service, names, signature = match.groups()
    names = names.split(';')
    date = request.field('x-amz-date') or ''
    if key_id not in keys:
        return 'unknown access key id ' + key_id
    secret, session = keys[key_id]
    if (named_region, named_service, day) != (region, service, date[:8]):
        return 'signed for %s %s on %s' % (named_region, named_service, day)
    if request.field('x-amz-security-token') != session:
        return 'session token %s' % request.field('x-amz-security-token')
    unsigned = [name for name, _ in request.fields if name.lower() not in names and
                (name.lower() == 'host' or name.lower().startswith('x-amz-'))]
    if unsigned:
        return 'not signed: %s' % unsigned
    key = mac(mac(mac(mac(b'AWS4' + secret.encode(), day), region), service), 'aws4_request')
    to_sign = '\n'.join(['AWS4-HMAC-SHA256', date, '%s/%s/%s/aws4_request' % (
        day, region, service), hashlib.sha256(
            canonical_request(request, names).encode()).hexdigest()])
    wanted = mac(key, to_sign).hex()
    return None if hmac.compare_digest(wanted, signature) else 'the signature does not match'
