"""What must hold of a case after it went through the proxy: lists of complaints, empty if
all is well."""

import json

import corpus

# Fields of a response that are the proxy's own business, or that it must not pass on: a
# cookie, or the invitation to go round the proxy.
OWN_FIELDS = corpus.FRAMING | {'set-cookie', 'alt-svc', 'assay-exchange-id'}
# Fields of a request that would name a caller to another proxy.
IDENTITY_PREFIXES = ('x-amz-', 'x-amzn-')
CLASSES = ('input', 'cache_read', 'cache_write', 'output', 'reasoning')
MODEL_KEPT = 63
SHOWN = 200


def relayed(case, response, spliced):
    """The client's view: status, fields and bytes as recorded."""
    complaints = []
    if isinstance(response, Exception):
        return ['no response: %r' % response]
    if response.cut:
        complaints.append('the response was cut')
    if response.status != case.status:
        complaints.append('status %d instead of %d: %r' % (
            response.status, case.status, response.body[:SHOWN]))
    body = b'' if case.method == 'HEAD' or case.status in (204, 304) else case.response_body
    if response.body != body and not (
            spliced and response.body == corpus.without_usage_chunk(body)):
        complaints.append(difference('response body', body, response.body))
    wanted, got = own_fields_left_out(case.response_fields), \
        own_fields_left_out(response.fields)
    if wanted != got:
        complaints.append('response fields: missing %s, added %s, or their order' % (
            [pair for pair in wanted if pair not in got],
            [pair for pair in got if pair not in wanted]))
    if not response.field('assay-exchange-id'):
        complaints.append('no assay-exchange-id')
    return complaints


def own_fields_left_out(fields):
    return [(name.lower(), value.strip()) for name, value in fields
            if name.lower() not in OWN_FIELDS]


def difference(what, wanted, got):
    at = next((i for i, (a, b) in enumerate(zip(wanted, got)) if a != b),
              min(len(wanted), len(got)))
    return '%s differs at byte %d of %d (got %d): %r instead of %r' % (
        what, at, len(wanted), len(got), got[at:at + 60], wanted[at:at + 60])


def forwarded(case, arrivals, secret, key, spliced):
    """The provider's view: one request, its bytes as sent, the credential replaced."""
    if len(arrivals) != 1:
        return ['%d requests reached the provider' % len(arrivals)]
    arrival = arrivals[0]
    complaints = []
    if arrival.method != case.method or arrival.target != case.path:
        complaints.append('%s %s reached the provider' % (arrival.method, arrival.target))
    if spliced:
        complaints += splice(case.request_body, arrival.body)
    elif arrival.body != case.request_body:
        complaints.append(difference('request body', case.request_body, arrival.body))
    if case.coding and case.coding not in ', '.join(
            value for name, value in arrival.fields if name.lower() == 'accept-encoding'):
        complaints.append('%s was not asked for, which the client accepts' % case.coding)
    values = [value for _, value in arrival.fields]
    if any(key in value for value in values):
        complaints.append('the virtual key reached the provider')
    if not any(secret in value for value in values):
        complaints.append('the credential did not reach the provider')
    got = {(name.lower(), value) for name, value in arrival.fields}
    missing = [(name, value) for name, value in case.request_fields
               if not name.lower().startswith(('accept-encoding', *IDENTITY_PREFIXES)) and
               (name.lower(), value) not in got]
    if missing:
        complaints.append('request fields did not reach the provider: %s' % missing)
    return complaints


def splice(sent, arrived):
    """`arrived` is `sent` with include_usage added in one place, all else untouched."""
    front = 0
    while front < min(len(sent), len(arrived)) and sent[front] == arrived[front]:
        front += 1
    back = 0
    while back < len(sent) - front and sent[-1 - back] == arrived[-1 - back]:
        back += 1
    replaced = sent[front:len(sent) - back]
    if len(replaced) > len('false'):
        return ['the splice replaced %r' % replaced]
    wanted = json.loads(sent)
    wanted['stream_options'] = {**(wanted.get('stream_options') or {}), 'include_usage': True}
    if json.loads(arrived) != wanted:
        return ['the splice changed more than include_usage: %r' % arrived[:SHOWN]]
    return []


def metered(case, record):
    """The ledger's view, against what the recording says was used."""
    if record is None:
        return ['no record']
    complaints = facts(case, record)
    if case.is_metered() or record['dialect'] != 'unknown':
        return complaints + usage(case, record)
    if any(record['tokens'][name] == 0 for name in CLASSES):
        complaints.append('an unmetered call was counted as zero')
    return complaints


def facts(case, record):
    complaints = []
    if record['outcome'] != 'complete':
        complaints.append('outcome ' + record['outcome'])
    if record['status'] != case.status:
        complaints.append('recorded status %s' % record['status'])
    if (record['team'], record['caller'], record['provider']) != \
            ('tests', 'tester', case.provider):
        complaints.append('recorded as %(team)s/%(caller)s at %(provider)s' % record)
    return complaints


def usage(case, record):
    expected = disjoint(case.expected)
    tokens = {name: record['tokens'][name] for name in CLASSES}
    if expected['input_total'] is None and expected['output_total'] is None:
        return unreported(case, record, tokens)
    got = {'input_total': total(tokens, 'input', 'cache_read', 'cache_write'),
           'output_total': total(tokens, 'output', 'reasoning'),
           'cache_read': tokens['cache_read'], 'cache_write': tokens['cache_write'],
           'reasoning': tokens['reasoning'], 'model': record['response_model']}
    # Where one side is reported, the other may be estimated.
    partial = record['usage_source'] == 'partial'
    complaints = ['%s %s instead of %s' % (name, got[name], expected[name])
                  for name in got if not agrees(name, expected[name], got[name]) and
                  not (partial and expected[name] is None and name.endswith('_total'))]
    if record['usage_source'] not in ('reported', 'partial'):
        complaints.append('usage_source ' + record['usage_source'])
    if complaints:
        complaints.append('tokens %s, usage_source %s' % (tokens, record['usage_source']))
    return complaints


def disjoint(expected):
    """A part that the provider states greater than its whole can be no greater in classes
    that are disjoint and add up to the whole."""
    wholes = {'reasoning': 'output_total', 'cache_read': 'input_total'}
    return {name: min(value, expected[wholes[name]])
            if name in wholes and value is not None and expected[wholes[name]] is not None
            else value for name, value in expected.items()}


def unreported(case, record, tokens):
    """The recording has no usage: nothing may be called reported, and nothing be zero."""
    if case.api in corpus.FREE:
        return [] if record['free'] else ['a free operation was not recorded as free']
    if record['operation'] == 'retrieve' and not record['free']:
        return []
    if record['usage_source'] in ('reported', 'partial'):
        return ['usage_source %s where the response has none: %s' % (
            record['usage_source'], tokens)]
    if case.status >= 400 and record['usage_source'] != 'none':
        return ['usage_source %s of an error' % record['usage_source']]
    if record['usage_source'] == 'none' and any(tokens.values()):
        return ['tokens %s without a source' % tokens]
    return []


def total(tokens, *names):
    known = [tokens[name] for name in names if tokens[name] is not None]
    return sum(known) if known else None


def agrees(name, expected, got):
    if name == 'model':
        return expected is None or got == expected[:MODEL_KEPT]
    if expected is None:
        return not got
    return got == expected or (expected == 0 and got is None)
