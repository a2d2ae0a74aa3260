#include "proxy/sharing/redis_link.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 60000 };

/* A server that takes one connection and says its words in two pieces,
 * whatever is asked. */
struct server {
    pthread_t thread;
    struct sockaddr_un address;
    int listener;
    const char *words;
    size_t first;   /* bytes of the first piece */
    bool stays;     /* the connection, until the client closes it */
    char asked[64]; /* what was */
};

static void say(int fd, const char *words, size_t count)
{
    if (count > 0) {
        assert_int_equal(send(fd, words, count, MSG_NOSIGNAL), count);
    }
}

static void *serve(void *self)
{
    struct server *server = self;
    int fd = accept(server->listener, NULL, NULL);
    char byte;

    assert_true(fd >= 0);
    assert_true(recv(fd, server->asked, sizeof server->asked - 1, 0) > 0);
    say(fd, server->words, server->first);
    usleep(1000);
    say(fd, server->words + server->first, strlen(server->words) - server->first);
    if (server->stays) {
        (void)!recv(fd, &byte, 1, 0);
    }
    close(fd);
    return NULL;
}

static void server_start(struct server *server)
{
    server->address.sun_family = AF_UNIX;
    snprintf(server->address.sun_path, sizeof server->address.sun_path,
             "/tmp/test_redis_link.%d", (int)getpid());
    (void)unlink(server->address.sun_path);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&server->address,
                          sizeof server->address),
                     0);
    assert_int_equal(listen(server->listener, 1), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_end(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->listener);
    (void)unlink(server->address.sun_path);
}

static void ask(struct redis_link *link)
{
    const char *arguments[] = { "GET", "k" };
    const size_t sizes[] = { 3, 1 };

    redis_link_put(link, 2, arguments, sizes);
}

static struct redis_link *link_to(const struct server *server, uint32_t timeout_ms)
{
    const struct config_redis config = {
        .text = "unix:", .path = server->address.sun_path, .timeout_ms = timeout_ms
    };

    return redis_link_open(&config, NULL);
}

static void answers_come_in_any_pieces(void **state)
{
    static const char words[] = "*2\r\n$3\r\n123\r\n:7\r\n";

    (void)state;
    for (size_t first = 0; first < sizeof words; first++) {
        struct server server = { .words = words, .first = first, .stays = true };
        struct redis_link *link;
        redisReply *reply;

        server_start(&server);
        link = link_to(&server, PATIENCE_MS);
        assert_null(redis_link_why(link));
        ask(link);
        reply = redis_link_get(link);
        assert_non_null(reply);
        assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
        assert_int_equal(reply->elements, 2);
        assert_string_equal(reply->element[0]->str, "123");
        assert_int_equal(reply->element[1]->integer, 7);
        freeReplyObject(reply);
        redis_link_close(link);
        server_end(&server);
        assert_string_equal(server.asked, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    }
}

static void what_is_no_answer_breaks_the_link(void **state)
{
    static const struct {
        const char *words, *why;
        bool stays;
        uint32_t timeout_ms;
    } cases[] = {
        { "", "no answer came", true, 200 }, /* silence, until the time is over */
        { "$3\r\n1", "no answer came", false, PATIENCE_MS },
        { "HTTP/1.1 400 Bad Request\r\n\r\n", "an answer is none of Redis", true,
          PATIENCE_MS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server server = { .words = cases[i].words, .stays = cases[i].stays };
        struct redis_link *link;

        server_start(&server);
        link = link_to(&server, cases[i].timeout_ms);
        ask(link);
        assert_null(redis_link_get(link));
        assert_string_equal(redis_link_why(link), cases[i].why);
        ask(link);
        assert_null(redis_link_get(link)); /* and stays broken */
        redis_link_close(link);
        server_end(&server);
    }
}

static void nobody_there_is_told(void **state)
{
    const struct config_redis config = {
        .text = "unix:", .path = "/tmp/test_redis_link.none", .timeout_ms = 200
    };
    struct redis_link *link = redis_link_open(&config, NULL);

    (void)state;
    assert_string_equal(redis_link_why(link), "No such file or directory");
    assert_null(redis_link_get(link));
    redis_link_close(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_in_any_pieces),
        cmocka_unit_test(what_is_no_answer_breaks_the_link),
        cmocka_unit_test(nobody_there_is_told),
    };

    return cmocka_run_group_tests_name("redis_link", tests, NULL, NULL);
}
