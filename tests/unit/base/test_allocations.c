/* Every allocation of a scenario fails once, in turn: nothing crashes or leaks, nothing half-written gets out.
 * The linker's --wrap puts the functions below in front of the allocator. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "flow.h"
#include "log.h"
#include "metrics.h"
#include "scope.h"
#include "settings.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static long allocations_left = -1; /* before the one that fails; negative: none does */
static bool has_struck;

static bool strikes(void)
{
        if (allocations_left < 0 || allocations_left-- > 0)
                return false;
        has_struck = true;
        return true;
}

void *__wrap_malloc(size_t size)
{
        return strikes() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        return strikes() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
        return strikes() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
        return strikes() ? NULL : __real_strdup(text);
}

struct group {
        char *name;
        char *lines;
};

struct values {
        char *text;
        uint64_t number;
        struct settings_list groups;
};

static const struct setting TABLE[] = {
        { "number", SETTING_NUMBER, offsetof(struct values, number), "1", 0, 9, NULL, "", NULL },
        { "text", SETTING_TEXT, offsetof(struct values, text), "x", 0, 99, NULL, "", NULL },
        { 0 },
};

static const struct setting GROUP[] = {
        { "lines", SETTING_LINES, offsetof(struct group, lines), NULL, 1, 99, NULL, "", NULL },
        { 0 },
};

static const struct settings_kind KINDS[] = {
        { "group", GROUP, offsetof(struct values, groups), sizeof(struct group), 3 },
        { 0 },
};

static void read_settings(void)
{
        static const char TEXT[] = "text = a,\n b\nnumber = 3\n[group a]\nlines = x\nlines = y\n[group b]\n";
        AUTO(auto_close) int fd = memfd_create("carrel.conf", MFD_CLOEXEC);
        struct values values = { 0 };
        struct fault why = { 0 };
        char path[64];
        int r;

        assert_int_equal(write(fd, TEXT, sizeof TEXT - 1), sizeof TEXT - 1);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        r = settings_defaults(TABLE, &values, &why);
        if (r == 0)
                r = settings_read_file(TABLE, KINDS, &values, path, NULL, &why);
        if (r == 0) {
                AUTO(auto_free) char *text = settings_format(&TABLE[1], &values);

                struct buffer all = { 0 };

                assert_true(text == NULL || strcmp(text, "a, b") == 0);
                settings_write(TABLE, KINDS, &values, &all);
                assert_true(all.has_failed || strcmp(all.data, "number = 3\ntext = a, b\n\n[group a]\nlines = x\n"
                                                               "lines = y\n\n[group b]\n") == 0);
                buffer_free(&all);
        } else {
                assert_int_equal(r, -ENOMEM);
                assert_int_equal(why.err, ENOMEM);
        }
        settings_release(TABLE, KINDS, &values);
}

static void write_records(void)
{
        static const char *const ENDS[] = {
                [LOG_FORMAT_LOGFMT] = " event=noted key=\"v w\"\n",
                [LOG_FORMAT_JSON] = ",\"event\":\"noted\",\"key\":\"v w\"}\n",
        };

        for (enum log_format format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
                struct log *log = NULL;
                char record[256] = "";
                ssize_t length;
                int fds[2];

                assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
                if (log_new(&log, fds[0], LOG_LEVEL_INFO, format) == 0)
                        log_event(log, LOG_LEVEL_INFO, "noted", "key", "v w", NULL);
                length = read(fds[1], record, sizeof record - 1);
                if (length > 0) /* a record that is written is whole */
                        assert_string_equal(strstr(record, ENDS[format]), ENDS[format]);
                else
                        assert_true(has_struck);
                assert_null(log_free(log));
                (void)close(fds[0]);
                (void)close(fds[1]);
        }
}

static void count_things(void)
{
        static const struct metric_family FAMILIES[] = { { "a_total", "a", METRIC_COUNTER, { "label" } },
                                                         { "b_seconds", "b", METRIC_HISTOGRAM, { NULL } },
                                                         { 0 } };
        struct metrics *metrics = NULL;
        struct buffer text = { 0 };

        if (metrics_new(&metrics, FAMILIES) < 0)
                return;
        for (unsigned i = 0; i < 100; i++) {
                char label[16];

                (void)snprintf(label, sizeof label, "%u", i);
                metrics_add(metrics, 0, 1, label, NULL, NULL);
        }
        metrics_observe(metrics, 1, 1, NULL, NULL, NULL);
        metrics_render(metrics, &text);
        assert_true(text.has_failed || strncmp(text.data, "# HELP a_total a\n", 17) == 0);
        buffer_free(&text);
        assert_null(metrics_free(metrics));
}

static void start_flow(void)
{
        static const struct step NONE[] = { { 0 } };
        static const struct flow_plan PLAN = { "empty", NONE, NULL, NULL };
        struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO); /* libev's own allocations are not wrapped: it aborts */
        struct flow *flow = NULL;

        if (flow_start(&flow, loop, &PLAN, NULL, NULL) < 0)
                assert_null(flow);
        else
                ev_run(loop, 0);
}

static void run_scenario(void (*scenario)(void))
{
        long at = 0;

        do {
                has_struck = false;
                allocations_left = at++;
                scenario();
                allocations_left = -1;
        } while (has_struck);
        assert_true(at > 1); /* at least one allocation was seen, and failed */
}

static void test_every_allocation_fails_once(void **state)
{
        static void (*const SCENARIOS[])(void) = { read_settings, write_records, count_things, start_flow };
        cJSON_Hooks wrapped = { __wrap_malloc, free };

        cJSON_InitHooks(&wrapped);
        for (size_t i = 0; i < sizeof SCENARIOS / sizeof SCENARIOS[0]; i++)
                run_scenario(SCENARIOS[i]);
        cJSON_InitHooks(NULL);
        ev_loop_destroy(EV_DEFAULT_UC);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_allocation_fails_once) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
