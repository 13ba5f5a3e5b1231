/* Request bodies, queries and paths of the API. The first byte chooses the parser. Accepted values
 * are used again, so that the sanitizers see a wrong length or a freed string. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exec-query.h"
#include "file-answer.h"
#include "file-query.h"
#include "list-query.h"
#include "parse.h"
#include "put.h"
#include "url.h"

static size_t touched;

static void touch(const char *text)
{
        touched += text == NULL ? 0 : strlen(text);
}

static void fuzz_ensure(const char *text, size_t length)
{
        struct ensure_body body;

        if (parse_ensure(text, length, &body, NULL) == 0)
                touch(body.spec.image);
}

static void use_exec(struct exec_body *body)
{
        for (const char *const *at = body->request.argv; *at != NULL; at++)
                touch(*at);
        for (const char *const *at = body->request.environment; at != NULL && *at != NULL; at++)
                touch(*at);
        touch(body->request.working_dir);
        for (size_t i = 0; i < body->request.input_length; i++)
                touched += ((const unsigned char *)body->request.input)[i];
        exec_body_release(body);
}

/* As a POST's body, and as a WebSocket's first message. */
static void fuzz_exec(const char *text, size_t length)
{
        struct exec_body body;

        if (parse_exec(text, length, &body, NULL) == 0)
                use_exec(&body);
        if (parse_exec_message(text, length, &body, NULL) == 0)
                use_exec(&body);
}

static void fuzz_small(const char *text, size_t length)
{
        struct fault why = { 0 };
        uint64_t lease_s = 0;
        double idle_s = 0;
        int number = 0;

        (void)!parse_touch(text, length, &lease_s, &why);
        (void)!parse_signal(text, length, &number, &why);
        (void)!parse_reap(text, length, &idle_s, &why);
        if (lease_s > LEASE_MAX_S || number < 0 || number > SIGNAL_MAX || idle_s < 0 || idle_s > REAP_IDLE_MAX_S)
                abort();
}

static void fuzz_url(const char *text, size_t length)
{
        static const struct query_parameter *const TABLES[] = { CARREL_LIST_QUERY, EXEC_LIST_QUERY, EXEC_OUTPUT_QUERY,
                                                                IMAGE_LOAD_QUERY };
        char decoded[64];
        size_t n;

        for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++) {
                char *query = strndup(text, length);
                struct list_query list;

                if (query != NULL && list_query_parse(query, TABLES[i], &list, NULL) == 0) {
                        touch(list.after);
                        touch(list.user);
                        touch(list.reference);
                        touch(list.format);
                        if (list.limit < 1 || list.limit > LIST_LIMIT_MAX)
                                abort();
                }
                free(query);
        }
        if (url_decode(text, length, decoded, sizeof decoded, &n) == 0 && n >= sizeof decoded)
                abort();
}

static void fuzz_exec_query(const char *text, size_t length)
{
        char *query = strndup(text, length);
        struct exec_query parsed;

        if (query == NULL)
                return;
        if (exec_query_parse(query, &parsed, NULL) == 0 && !parsed.is_by_message) {
                for (const char *const *at = parsed.request.argv; *at != NULL; at++)
                        touch(*at);
                for (const char *const *at = parsed.request.environment; *at != NULL; at++)
                        touch(*at);
                touch(parsed.request.working_dir);
                touch(parsed.profile);
                if (parsed.request.argv[0] == NULL || parsed.request.rows > 4096)
                        abort();
                exec_query_release(&parsed);
        }
        free(query);
}

static void fuzz_file_queries(const char *text, size_t length)
{
        static const struct query_parameter *const TABLES[] = { ARCHIVE_QUERY, FILE_GET_QUERY, FILE_PUT_QUERY,
                                                                FILE_REMOVE_QUERY };

        for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++) {
                char *query = strndup(text, length);
                struct file_query parsed;

                if (query != NULL && file_query_parse(query, TABLES[i], &parsed, NULL) == 0) {
                        touch(parsed.path);
                        if (parsed.mode < -1 || parsed.mode > 07777)
                                abort();
                }
                free(query);
        }
}

static void fuzz_files(const char *text, size_t length)
{
        char *copy = strndup(text, length);
        char path[FILE_PATH_BYTES];
        struct file_answer answer;
        int64_t first, last;
        int problem;

        if (copy == NULL)
                return;
        fuzz_file_queries(text, length);
        if (file_path_decode(copy, path, NULL) == 0)
                touch(path);
        if (file_range_parse(copy, &first, &last) && first >= 0 && last >= 0 && last < first)
                abort();
        free(copy);
        if (file_answer_parse(text, length, &answer) == 0)
                touch(answer.why.message);
        for (const char *at = text, *end = text + length; at < end;) {
                struct json *entry = file_list_next(&at, end, &problem);

                if (entry == NULL && problem == -EPROTO)
                        break;
                (void)json_free(entry);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const PARSERS[])(const char *text, size_t length) = { fuzz_ensure, fuzz_exec,       fuzz_small,
                                                                            fuzz_url,    fuzz_exec_query, fuzz_files };
        char *text;

        if (size < 2)
                return 0;
        /* A copy of exactly this size, so that a read beyond the end is seen. */
        text = malloc(size - 1);
        if (text == NULL)
                return 0;
        memcpy(text, data + 1, size - 1);
        PARSERS[data[0] % 6](text, size - 1);
        free(text);
        return 0;
}
