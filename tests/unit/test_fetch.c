#include "proxy/credential/fetch.h"

#include <event2/buffer.h>
#include <event2/http.h>

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

/* A server on loopback and what it was asked. */
struct scene {
    struct event_base *base;
    struct evdns_base *names;
    struct evhttp *server;
    uint16_t port;
    char asked[256];
    char said[256]; /* status, body or failure */
    unsigned answers;
};

static void serve(struct evhttp_request *request, void *self)
{
    struct scene *scene = self;
    const char *field =
        evhttp_find_header(evhttp_request_get_input_headers(request), "x-field");

    (void)snprintf(scene->asked, sizeof scene->asked, "%d %s %s %zu",
                   (int)evhttp_request_get_command(request),
                   evhttp_request_get_uri(request), field == NULL ? "-" : field,
                   evbuffer_get_length(evhttp_request_get_input_buffer(request)));
    evbuffer_add_printf(evhttp_request_get_output_buffer(request), "hello");
    evhttp_send_reply(request, 201, "Made", NULL);
}

static void told(void *self, const struct fetch_reply *reply)
{
    struct scene *scene = self;

    scene->answers++;
    (void)snprintf(scene->said, sizeof scene->said, "%d %.*s%s", reply->status,
                   (int)reply->body.len, reply->body.len == 0 ? "" : reply->body.at,
                   reply->failure == NULL ? "" : reply->failure);
    event_base_loopbreak(scene->base);
}

static int set_up(void **state)
{
    static struct scene scene;
    struct evhttp_bound_socket *bound;
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    scene = (struct scene){ .base = event_base_new() };
    scene.names = evdns_base_new(scene.base, 0);
    scene.server = evhttp_new(scene.base);
    bound = evhttp_bind_socket_with_handle(scene.server, "127.0.0.1", 0);
    evhttp_set_gencb(scene.server, serve, &scene);
    assert_int_equal(getsockname(evhttp_bound_socket_get_fd(bound),
                                 (struct sockaddr *)&address, &size),
                     0);
    scene.port = ntohs(address.sin_port);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    evhttp_free(scene->server);
    evdns_base_free(scene->names, 0);
    event_base_free(scene->base);
    return 0;
}

static struct fetch *start(struct scene *scene, enum fetch_method method,
                           const char *path, struct span body)
{
    const struct fetch_field fields[] = { { "X-Field", "value" }, { NULL, NULL } };
    struct fetch *fetch;
    struct error error;
    char url[128];

    error_init(&error);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", scene->port, path);
    fetch =
        fetch_start(scene->base, scene->names,
                    &(struct fetch_request){
                        .method = method, .url = url, .fields = fields, .body = body },
                    told, scene, &error);
    error_print(&error, stderr);
    error_done(&error);
    assert_non_null(fetch);
    assert_int_equal(scene->answers, 0);
    return fetch;
}

static void asks_and_tells(void **state)
{
    struct scene *scene = *state;

    start(scene, FETCH_POST, "/a/b?c=1", SPAN("12345"));
    event_base_dispatch(scene->base);
    assert_string_equal(scene->said, "201 hello");
    assert_string_equal(scene->asked, "2 /a/b?c=1 value 5");
    scene->answers = 0;
    start(scene, FETCH_PUT, "", span_of(NULL, 0));
    event_base_dispatch(scene->base);
    assert_string_equal(scene->said, "201 hello");
    assert_string_equal(scene->asked, "8 / value 0");
}

static void tells_failures_once(void **state)
{
    struct scene *scene = *state;

    evhttp_free(scene->server);
    start(scene, FETCH_GET, "/", span_of(NULL, 0));
    event_base_dispatch(scene->base);
    assert_string_equal(scene->said,
                        "0 it could not be reached, or ended the connection early");
    assert_int_equal(scene->answers, 1);
    scene->server = evhttp_new(scene->base);
}

static void can_be_cancelled(void **state)
{
    struct scene *scene = *state;

    assert_null(fetch_cancel(NULL));
    assert_null(fetch_cancel(start(scene, FETCH_GET, "/", span_of(NULL, 0))));
    event_base_loop(scene->base, EVLOOP_NONBLOCK);
    assert_int_equal(scene->answers, 0);
}

static void secrets_go_nowhere_unprotected(void **state)
{
    static const struct {
        const char *url, *why;
    } rows[] = {
        { "http://oauth2.example.org/token", "over plain http" },
        { "http://169.254.169.253/", "over plain http" },
        { "http://127.0.0.1.example.org/", "over plain http" },
        { "ftp://127.0.0.1/", "is not a URL" },
        { "/token", "is not a URL" },
        { "https:///token", "is not a URL" },
        { "", "is not a URL" },
    };
    struct scene *scene = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error error;

        error_init(&error);
        assert_null(fetch_start(scene->base, scene->names,
                                &(struct fetch_request){ .url = rows[i].url }, told,
                                scene, &error));
        assert_int_equal(error.count, 1);
        assert_non_null(strstr(error.entries[0].words, rows[i].why));
        error_done(&error);
    }
    assert_true(fetch_host_is_local("169.254.169.254"));
    assert_true(fetch_host_is_local("[fd00:ec2::23]"));
    assert_false(fetch_host_is_local("169.254.169.25"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asks_and_tells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_failures_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(can_be_cancelled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(secrets_go_nowhere_unprotected, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
