/* What says who may call and who may look, checked across keys. */
#include "config/config.h"
#include "tests/unit/config_text.h"

#define PROVIDED "providers: {p: {url: 'https://p.example', dialects: [openai]}}\n"
#define ISSUERS                                                                        \
    "issuers: {i: {issuer: x, audience: [a], jwks: 'https://i.example/keys'}}\n"
#define TLS "tls: {certificates: [{chain: /c, key: /k}]"

static const struct broken {
    const char *yaml, *mistakes;
} broken[] = {
    { "listen: [{address: 127.0.0.1:1, identify: [jwt]}]\n" PROVIDED,
      "1:43: tokens cannot be verified here: there is no 'issuers'\n" },
    { "listen: [{address: 127.0.0.1:1}]\n" PROVIDED ISSUERS,
      "3:11: no listener takes tokens: write identify: [key, jwt] at one\n" },
    { "listen: [{address: 127.0.0.1:1, identify: [certificate]}]\n" PROVIDED,
      "1:43: certificates cannot be verified here: there is no 'tls' with 'clients: "
      "{ca: ...}'\n" },
    { "listen: [{address: 127.0.0.1:1, identify: [header]}]\n" PROVIDED,
      "1:43: no header can be trusted here: there is no 'trusted_header'\n" },
    { "listen: [{address: 127.0.0.1:1, trusted_header: {name: x-u, from: "
      "[10.0.0.0/8]}}]\n" PROVIDED,
      "1:56: a header is trusted, but 'identify' does not list 'header'\n" },
    { "listen: [{address: 127.0.0.1:1, identify: [header], trusted_header: {name: "
      "authorization, from: ['::1']}}]\n" PROVIDED,
      "1:76: 'authorization' carries credentials; a proxy's word needs another "
      "field\n" },
    { "listen: [{address: 127.0.0.1:1, identify: [header], trusted_header: {name: x_u, "
      "from: [unix]}}]\n" PROVIDED,
      "1:76: write the field's name with dashes: underscores mean the same to many "
      "servers\n"
      "1:87: 'unix' is of a Unix socket, which this listener is not\n" },
    { "listen: [{address: 127.0.0.1:1, identify: [key, key]}]\n" PROVIDED,
      "1:49: 'key' stands here twice\n" },
    { "listen: [{address: 127.0.0.1:1, identify: [cookie]}]\n" PROVIDED,
      "1:44: 'cookie' is not key, jwt, certificate or header\n" },
    { "listen: [{address: 127.0.0.1:1, identify: [header], trusted_header: {name: x-u, "
      "from: [10.0.0.1/8]}}]\n" PROVIDED,
      "1:88: '10.0.0.1/8' is not an address, a network such as 10.0.0.0/8, or unix\n" },
    { "listen: [{address: 127.0.0.1:1, default_team: gests}]\n" PROVIDED
      "teams: {guests: {}}\n",
      "1:47: no team is called 'gests'; did you mean 'guests'?\n" },
    { "listen: [{address: 127.0.0.1:1, identify: [jwt]}]\n" PROVIDED
      "issuers: {i: {issuer: x, audience: [a], jwks: 'http://i.example/keys', "
      "rsa_algorithm: HS256}}\n",
      "3:47: keys are fetched by https only: 'i.example' is not loopback\n"
      "3:87: 'HS256' is not RS256, RS384, RS512, PS256, PS384 or PS512\n" },
    { "listen: [{address: 127.0.0.1:1}]\n" PROVIDED
      "teams: {t: {callers: [a], services: [a], tags: {x: 'a=b'}, aliases: {q: z}}}\n",
      "3:38: 'a' is a caller and a service of team 't'\n"
      "3:49: the value of 'x' has '=' or ',' in it\n"
      "3:70: 'z' is neither a caller nor a service of team 't'\n" },
    { "listen: [{address: 127.0.0.1:1}]\n" PROVIDED
      "teams: {t: {tags: {cost_centre: DE-4711-EMEA, environment: production, \n"
      "  project: platform-migration-of-the-year, owner: "
      "a.person.with.a.very.very.long.name}}}\n",
      "4:44: the tags take more than the 127 characters that a record has for them\n" },
    { "listen: [{address: 127.0.0.1:1}]\n" PROVIDED
      "admin: {users: {u: {role: lead, token: env:X}}}\n",
      "3:17: a lead needs the 'team' that he leads\n" },
    { "listen: [{address: 127.0.0.1:1}]\n" PROVIDED
      "admin: {users: {u: {role: auditor}, v: {role: operator, certificate: c}}}\n",
      "3:17: user 'u' needs a 'token' or a 'certificate'\n"
      "3:70: admin asks for no certificates: there is no 'tls' with 'clients'\n" },
    { "listen: [{address: 127.0.0.1:1}]\n" PROVIDED
      "admin: {address: '10.0.0.1:1', users: {u: {role: operator, token: env:X}}}\n",
      "3:18: beyond loopback (10.0.0.1:1) the admin port needs 'tls': tokens and what "
      "it "
      "tells would be read on the way\n" },
    { "listen: [{address: 127.0.0.1:1}]\n" PROVIDED
      "admin: {users: {u: {role: operator, token: hunter2}}}\n",
      "3:44: a secret is env:NAME or file:/path, and never the secret itself\n" },
    { "listen: [{address: 127.0.0.1:1}]\n"
      "providers: {p: {url: 'https://p.example', dialects: [openai], tag: {header: "
      "host, "
      "field: metadata.user_id}}}\n",
      "2:77: a tag cannot be sent as 'host'\n"
      "2:90: this field is of providers that speak 'anthropic'\n" },
};

static void test_broken_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_mistakes(broken[i].yaml, broken[i].mistakes);
    }
}

static void test_good_rules(void **state)
{
    static const char *const good[] = {
        "listen: [{address: 127.0.0.1:1, identify: [jwt, key]}]\n" PROVIDED ISSUERS,
        "listen: [{address: 'unix:/s', identify: [header], trusted_header: {name: x-u, "
        "from: [unix]}}]\n" PROVIDED,
        "listen: [{address: 127.0.0.1:1, identify: [certificate], " TLS
        ", clients: {ca: /ca, required: off, names: [cn]}}}]\n" PROVIDED,
        "listen: [{address: 127.0.0.1:1}]\n" PROVIDED
        "admin: {address: '0.0.0.0:2', " TLS "}, users: {u: {role: auditor, token: "
        "env:X}}}\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        config_free(read_good(good[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_rules),
        cmocka_unit_test(test_good_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
