#include "config/address.h"

#include "proxy/base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static const char no_memory[] = "does not fit into memory";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 1 to 65535: port 0 would be another port with every worker. */
static bool port_parse(struct span text, uint16_t *port)
{
    uint64_t number;

    if (text.len > 5 || !span_decimal(text, &number) || number < 1 ||
        number > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

/* A numeric host in its canonical spelling. */
struct numeric_host {
    char text[INET6_ADDRSTRLEN];
    bool loopback;
};

static bool ipv4_parse(struct span host, struct numeric_host *numeric)
{
    struct in_addr address;
    char text[INET_ADDRSTRLEN];

    if (!text_store(text, sizeof text, host) ||
        inet_pton(AF_INET, text, &address) != 1) {
        return false;
    }
    numeric->loopback = ntohl(address.s_addr) >> 24 == 127;
    return inet_ntop(AF_INET, &address, numeric->text, sizeof numeric->text) != NULL;
}

static bool ipv6_parse(struct span host, struct numeric_host *numeric)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];

    if (!text_store(text, sizeof text, host) ||
        inet_pton(AF_INET6, text, &address) != 1) {
        return false;
    }
    numeric->loopback = IN6_IS_ADDR_LOOPBACK(&address) ||
                        (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
    return inet_ntop(AF_INET6, &address, numeric->text, sizeof numeric->text) != NULL;
}

/* Cuts "[v6]" off the front of *rest. */
static bool bracketed_parse(struct span *rest, struct numeric_host *numeric)
{
    size_t end = span_find(*rest, ']');

    if (end == rest->len || !ipv6_parse(span_of(rest->at + 1, end - 1), numeric)) {
        return false;
    }
    *rest = span_after(*rest, end + 1);
    return true;
}

static const char *unix_parse(struct span path, struct arena *arena,
                              struct config_address *address)
{
    if (!span_starts(path, SPAN("/"))) {
        return "needs an absolute path, as in unix:/run/assay.sock";
    }
    if (path.len >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
        return "has a path longer than the system takes for a socket";
    }
    address->path = arena_copy(arena, path).at;
    address->loopback = true;
    return address->path == NULL ? no_memory : NULL;
}

const char *address_parse(const char *text, struct arena *arena,
                          struct config_address *address)
{
    static const char shape[] =
        "is not an address, such as 127.0.0.1:8080, [::1]:8080 or unix:/path";
    struct span rest = span_of(text, strlen(text));
    struct numeric_host numeric;

    address->text = arena_copy(arena, rest).at;
    if (address->text == NULL) {
        return no_memory;
    }
    if (span_starts(rest, SPAN("unix:"))) {
        return unix_parse(span_after(rest, 5), arena, address);
    }
    if (span_starts(rest, SPAN("["))) {
        if (!bracketed_parse(&rest, &numeric)) {
            return shape;
        }
    } else {
        size_t end = span_find(rest, ':');

        if (!ipv4_parse(span_of(rest.at, end), &numeric)) {
            return shape;
        }
        rest = span_after(rest, end);
    }
    if (!span_starts(rest, SPAN(":"))) {
        return "has no port, as in 127.0.0.1:8080";
    }
    if (!port_parse(span_after(rest, 1), &address->port)) {
        return "has no port from 1 to 65535";
    }
    address->host = arena_copy(arena, span_text(numeric.text)).at;
    address->loopback = numeric.loopback;
    return address->host == NULL ? no_memory : NULL;
}

static bool is_label(struct span label)
{
    if (label.len == 0 || label.len > 63 || label.at[0] == '-' ||
        label.at[label.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.len; i++) {
        char c = label.at[i];

        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_') {
            return false;
        }
    }
    return true;
}

/* A DNS name whose last label is no number: "127.1" and "0x7f.1" are names by their
 * letters, but resolvers read them as addresses. */
static bool is_host_name(struct span host)
{
    struct span label = { NULL, 0 };

    if (host.len > 253) {
        return false;
    }
    while (span_next(&host, '.', &label)) {
        if (!is_label(label)) {
            return false;
        }
    }
    return label.len > 0 && !is_digit(label.at[0]);
}

static const char *name_copy(struct span name, struct arena *arena)
{
    char *copy = arena_take(arena, name.len + 1);

    for (size_t i = 0; copy != NULL && i < name.len; i++) {
        char c = name.at[i];

        copy[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return copy;
}

/* Cuts the host off the front of *rest; false if there is none. url->host is NULL only
 * without memory. */
static bool host_parse(struct span *rest, struct arena *arena, struct config_url *url)
{
    struct numeric_host numeric = { .loopback = false };
    size_t end = 0;
    struct span name;

    if (span_starts(*rest, SPAN("["))) {
        if (!bracketed_parse(rest, &numeric)) {
            return false;
        }
    } else {
        while (end < rest->len && rest->at[end] != ':' && rest->at[end] != '/') {
            end++;
        }
        name = span_of(rest->at, end);
        *rest = span_after(*rest, end);
        if (!ipv4_parse(name, &numeric)) {
            url->loopback = span_equal_nocase(name, SPAN("localhost"));
            url->host = name_copy(name, arena);
            return is_host_name(name);
        }
    }
    url->loopback = numeric.loopback;
    url->host = arena_copy(arena, span_text(numeric.text)).at;
    return true;
}

/* A path segment that every reader of a URL takes for the same name. */
static bool is_segment(struct span segment)
{
    if (segment.len == 0 || span_equal(segment, SPAN(".")) ||
        span_equal(segment, SPAN(".."))) {
        return false;
    }
    for (size_t i = 0; i < segment.len; i++) {
        char c = segment.at[i];

        if (!is_letter(c) && !is_digit(c) && strchr("-._~:@!$&'()*+,=", c) == NULL) {
            return false;
        }
    }
    return true;
}

/* "" or "/a/b", one final slash dropped. */
static bool base_parse(struct span rest, struct span *base)
{
    struct span segments;
    struct span segment;

    if (span_ends(rest, SPAN("/"))) {
        rest.len--;
    }
    *base = rest;
    if (rest.len == 0) {
        return true;
    }
    segments = span_after(rest, 1);
    while (span_next(&segments, '/', &segment)) {
        if (!is_segment(segment)) {
            return false;
        }
    }
    return true;
}

static bool scheme_parse(struct span *rest, struct config_url *url)
{
    if (span_starts_nocase(*rest, SPAN("https://"))) {
        *rest = span_after(*rest, 8);
        url->tls = true;
        url->port = 443;
        return true;
    }
    if (span_starts_nocase(*rest, SPAN("http://"))) {
        *rest = span_after(*rest, 7);
        url->tls = false;
        url->port = 80;
        return true;
    }
    return false;
}

const char *url_parse(const char *text, struct arena *arena, struct config_url *url)
{
    struct span rest = span_of(text, strlen(text));
    struct span base;

    if (!scheme_parse(&rest, url)) {
        return "does not begin with https:// (or http://, to loopback only)";
    }
    if (span_find(rest, '@') < span_find(rest, '/')) {
        return "holds a user name; credentials go into the key 'credential'";
    }
    if (span_find(rest, '?') < rest.len || span_find(rest, '#') < rest.len) {
        return "has a query or fragment; only a path may follow the host";
    }
    if (!host_parse(&rest, arena, url)) {
        return "has no valid host";
    }
    if (span_starts(rest, SPAN(":"))) {
        size_t end = span_find(rest, '/');

        if (!port_parse(span_of(rest.at + 1, end - 1), &url->port)) {
            return "has no port from 1 to 65535 after its host";
        }
        rest = span_after(rest, end);
    }
    if (rest.len > 0 && !span_starts(rest, SPAN("/"))) {
        return "has something after its host that is neither a port nor a path";
    }
    if (!base_parse(rest, &base)) {
        return "has a path that is not plain segments, as in /v1/openai";
    }
    url->text = arena_copy(arena, span_text(text)).at;
    url->base = arena_copy(arena, base).at;
    return url->text == NULL || url->base == NULL || url->host == NULL ? no_memory
                                                                       : NULL;
}

/* What follows the host: "", ":6379", "/3". */
static const char *redis_rest_parse(struct span rest, struct config_redis *redis)
{
    uint64_t database = 0;

    if (span_starts(rest, SPAN(":"))) {
        size_t end = span_find(rest, '/');

        if (!port_parse(span_of(rest.at + 1, end - 1), &redis->port)) {
            return "has no port from 1 to 65535 after its host";
        }
        rest = span_after(rest, end);
    }
    if (rest.len > 1 && (!span_decimal(span_after(rest, 1), &database) ||
                         rest.at[0] != '/' || database > 65535)) {
        return "has something after its host that is no number of a database";
    }
    redis->database = (uint32_t)database;
    return NULL;
}

const char *redis_url_parse(const char *text, struct arena *arena,
                            struct config_redis *redis)
{
    struct span rest = span_text(text);
    struct config_address socket = { 0 };
    struct config_url url = { 0 };
    const char *wrong;

    redis->text = arena_copy(arena, rest).at;
    if (redis->text == NULL) {
        return no_memory;
    }
    if (span_starts(rest, SPAN("unix:"))) {
        wrong = unix_parse(span_after(rest, 5), arena, &socket);
        redis->path = socket.path;
        return wrong;
    }
    redis->port = 6379;
    redis->tls = span_starts(rest, SPAN("rediss://"));
    if (!redis->tls && !span_starts(rest, SPAN("redis://"))) {
        return "is not redis://host, rediss://host or unix:/path";
    }
    rest = span_after(rest, redis->tls ? 9 : 8);
    if (span_find(rest, '@') < rest.len) {
        return "holds a user name; it and its password have keys of their own";
    }
    if (!host_parse(&rest, arena, &url)) {
        return "has no valid host";
    }
    redis->host = url.host;
    return redis_rest_parse(rest, redis);
}
