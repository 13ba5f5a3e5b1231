/* Images over the API: bodies that do not fit into memory, who may send them, and what is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

enum { LARGE_BYTES = 6 << 20, SPOOL_MAX_BYTES = 8 << 20 };

static struct rig *new_rig(void)
{
        const struct api_options options = { .admin_gid = (gid_t)-1,
                                             .spool_dir = "/tmp",
                                             .spool_max_bytes = SPOOL_MAX_BYTES };

        return rig_new(&options);
}

static void assert_answer(struct response *response, int status, const char *part)
{
        if (response->status != status || strstr(response->body, part) == NULL)
                fail_msg("expected %d with %s, got %d: %s", status, part, response->status, response->body);
        response_free(response);
}

static struct client *ask(struct rig *rig, const char *head)
{
        struct client *client = rig_connect(rig);

        client_say(client, head);
        return client;
}

static void finish(struct rig *rig, struct client *client, int status, const char *part)
{
        struct response response = client_response(client, false);

        assert_answer(&response, status, part);
        client_close(client);
        (void)rig;
}

static void test_look_and_remove(void **state)
{
        struct rig *rig = new_rig();
        struct client *client = ask(rig, "GET /v1/images HTTP/1.1\r\nHost: c\r\n\r\n");
        struct fault why;

        (void)state;
        rig_until(rig, double_has_image_work, &rig->pool);
        double_answer_image(&rig->pool, NULL);
        finish(rig, client, 200,
               "{\"images\":[{\"reference\":\"box:1\",\"id\":\"sha256:c0ffee\",\"size_bytes\":7,\"created_at\":null}]"
               "}");
        client = ask(rig, "GET /v1/images/team%2Fbox:1 HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, double_has_image_work, &rig->pool);
        assert_string_equal(rig->pool.image_reference, "team/box:1");
        (void)fault_set(&why, FAULT_IMAGE_MISSING, 0, "there is no image team/box:1");
        double_answer_image(&rig->pool, &why);
        finish(rig, client, 404, "image_missing");
        client = ask(rig, "DELETE /v1/images/box:1 HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, double_has_image_work, &rig->pool);
        double_answer_image(&rig->pool, NULL);
        finish(rig, client, 200, "{\"reference\":\"box:1\",\"outcome\":\"removed\"}");
        client = ask(rig, "DELETE /v1/images/box:1 HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, double_has_image_work, &rig->pool);
        (void)fault_set(&why, FAULT_IMAGE_IN_USE, 0, "a carrel uses it");
        double_answer_image(&rig->pool, &why);
        finish(rig, client, 409, "image_in_use");
        rig_free(rig);
}

/* Larger than any body that is kept in memory, with a length and in chunks. */
static void test_large_bodies(void **state)
{
        struct rig *rig = new_rig();
        char *body = malloc(LARGE_BYTES);
        char head[256];

        (void)state;
        assert_non_null(body);
        memset(body, 'y', LARGE_BYTES);
        memcpy(body, "the archive", 11);
        for (int is_chunked = 0; is_chunked < 2; is_chunked++) {
                struct client *client = rig_connect(rig);

                (void)snprintf(
                        head, sizeof head,
                        "POST /v1/images?reference=a%%2Fb:1&format=oci HTTP/1.1\r\nHost: c\r\n%s%s%d%s",
                        is_chunked ? "Transfer-Encoding: chunked" : "Content-Length: ", is_chunked ? "\r\n\r\n" : "",
                        is_chunked ? 600000 : LARGE_BYTES, is_chunked ? "\r\n" : "\r\n\r\n");
                client_say(client, head);
                client_send(client, body, LARGE_BYTES); /* 0x600000 bytes, or as many */
                if (is_chunked)
                        client_say(client, "\r\n0\r\n\r\n");
                rig_until(rig, double_has_image_work, &rig->pool);
                assert_string_equal(rig->pool.image_reference, "a/b:1");
                assert_string_equal(rig->pool.image_format, "oci");
                assert_memory_equal(rig->pool.image_bytes, "the archiveyyyy", 15);
                double_answer_image(&rig->pool, NULL);
                finish(rig, client, 200, "sha256:c0ffee");
        }
        free(body);
        rig_free(rig);
}

static void test_refused(void **state)
{
        static const struct {
                const char *head;
                int status;
                const char *part;
        } CASES[] = {
                { "POST /v1/images?reference=a HTTP/1.1\r\nHost: c\r\nContent-Length: 8388609\r\n\r\n", 413,
                  "more than 8m" },
                { "POST /v1/images?reference=a HTTP/1.1\r\nHost: c\r\nContent-Length: 8388609\r\nExpect: "
                  "100-continue\r\n\r\n",
                  413, "request_too_large" },
                { "POST /v1/images?colour=a HTTP/1.1\r\nHost: c\r\nContent-Length: 1\r\n\r\nx", 400,
                  "unknown parameter" },
                { "POST /v1/images?reference= HTTP/1.1\r\nHost: c\r\nContent-Length: 1\r\n\r\nx", 400, "reference" },
                { "PUT /v1/images HTTP/1.1\r\nHost: c\r\nContent-Length: 0\r\n\r\n", 405, "GET, HEAD, POST" },
        };
        struct rig *rig = new_rig();

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
                finish(rig, ask(rig, CASES[i].head), CASES[i].status, CASES[i].part);
        rig_free(rig);
}

/* The number of current uploads, and their bytes together, by their heads and as they arrive. A finished or refused
 * upload no longer counts. */
static void test_quota(void **state)
{
        static const char FIVE_MIB[] =
                "POST /v1/images?reference=a HTTP/1.1\r\nHost: c\r\nContent-Length: 5242880\r\n\r\n";
        const struct api_options options = { .admin_gid = (gid_t)-1,
                                             .spool_dir = "/tmp",
                                             .spool_max_bytes = SPOOL_MAX_BYTES,
                                             .spools_max_bytes = SPOOL_MAX_BYTES,
                                             .max_spools = 2 };
        struct rig *rig = rig_new(&options);
        char *body = calloc(1, LARGE_BYTES);

        (void)state;
        assert_non_null(body);
        for (int round = 0; round < 2; round++) {
                struct client *first = ask(rig, FIVE_MIB);
                struct client *second;

                client_send(first, body, 5 << 20);
                rig_until(rig, double_has_image_work, &rig->pool);
                second = ask(rig, FIVE_MIB);
                client_send(second, body, 5 << 20);
                finish(rig, second, 503, "uploads_size");
                finish(rig,
                       ask(rig, "POST /v1/images?reference=a HTTP/1.1\r\nHost: c\r\nContent-Length: 5242880\r\n"
                                "Expect: 100-continue\r\n\r\n"),
                       503, "resource_exhausted");
                second = ask(rig, "POST /v1/images?reference=a HTTP/1.1\r\nHost: c\r\nContent-Length: 9\r\n\r\n");
                client_send(second, "x", 1);
                for (int i = 0; i < 10; i++)
                        rig_turn(rig);
                finish(rig, ask(rig, "POST /v1/images?reference=a HTTP/1.1\r\nHost: c\r\nContent-Length: 1\r\n\r\nx"),
                       429, "max_uploads");
                client_close(second);
                double_answer_image(&rig->pool, NULL);
                finish(rig, first, 200, "sha256:c0ffee");
        }
        free(body);
        rig_free(rig);
}

static bool has_left(void *arg)
{
        const struct pool *pool = arg;

        return pool->image_leaves == 1;
}

static void test_client_that_leaves(void **state)
{
        struct rig *rig = new_rig();
        struct client *client =
                ask(rig, "POST /v1/images?reference=a HTTP/1.1\r\nHost: c\r\nContent-Length: 1\r\n\r\nx");

        (void)state;
        rig_until(rig, double_has_image_work, &rig->pool);
        client_close(client);
        rig_until(rig, has_left, &rig->pool);
        rig_free(rig);
}

static void test_no_place_for_it(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        finish(rig, ask(rig, "POST /v1/images?reference=a HTTP/1.1\r\nHost: c\r\nContent-Length: 1\r\n\r\nx"), 503,
               "no directory for large bodies");
        rig_free(rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_look_and_remove),
                cmocka_unit_test(test_large_bodies),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_quota),
                cmocka_unit_test(test_client_that_leaves),
                cmocka_unit_test(test_no_place_for_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
