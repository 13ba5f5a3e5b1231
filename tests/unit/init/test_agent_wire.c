/* The words between carreld and its agent: what is written is read, and what breaks a rule is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent-wire.h"

static struct agent_packet packet;

static int judge(enum agent_side side, size_t n_fds)
{
        struct agent_header header;

        return agent_wire_check(side, packet.bytes, packet.length, n_fds, false, &header);
}

/* ---- each message there and back ---- */

static void hello_is_read_as_written(void **state)
{
        const struct agent_hello hello = { AGENT_MAGIC, 1, 3, "fifteen letters" };
        struct agent_hello read = { 0 };

        (void)state;
        agent_write_hello(&packet, &hello);
        assert_int_equal(judge(AGENT_FROM_INSIDE, 0), 0);
        assert_int_equal(agent_read_hello(packet.bytes, &read), 0);
        assert_memory_equal(&read, &hello, sizeof hello);
        packet.bytes[AGENT_HEADER_BYTES] ^= 1; /* another magic */
        assert_int_equal(agent_read_hello(packet.bytes, &read), -EBADMSG);
}

static void start_is_read_as_written(void **state)
{
        const struct agent_start start = { AGENT_START_JOIN | AGENT_START_TTY, 50, 132, 7 };
        struct agent_start read = { 0 };
        const void *chunk;
        size_t length;

        (void)state;
        agent_write_start(&packet, 9, &start, 2, "abcdefg", 7);
        assert_int_equal(judge(AGENT_FROM_DAEMON, 2), 0);
        assert_int_equal(agent_read_start(packet.bytes, &read, &chunk, &length), 0);
        assert_memory_equal(&read, &start, sizeof start);
        assert_int_equal(length, 7);
        assert_memory_equal(chunk, "abcdefg", 7);
}

static void start_with_a_lie_is_refused(void **state)
{
        static const struct agent_start LIES[] = {
                { 8, 0, 0, 7 },                           /* a flag nobody knows */
                { 0, 0, 0, 6 },                           /* more came than the whole */
                { 0, 0, 0, AGENT_SPEC_MAX + 1 },          /* over the bound */
                { AGENT_START_JOIN, 0, 0, (uint32_t)-1 }, /* far over */
        };
        struct agent_start read;
        const void *chunk;
        size_t length;

        (void)state;
        for (size_t i = 0; i < sizeof LIES / sizeof LIES[0]; i++) {
                agent_write_start(&packet, 9, &LIES[i], 0, "abcdefg", 7);
                assert_int_equal(agent_read_start(packet.bytes, &read, &chunk, &length), -EBADMSG);
        }
}

static void reports_are_read_as_written(void **state)
{
        struct agent_failed failed = { 0 };
        struct agent_exited exited = { 0 };

        (void)state;
        agent_write_started(&packet, 1);
        assert_int_equal(judge(AGENT_FROM_INSIDE, 0), 0);
        agent_write_failed(&packet, 1, &(struct agent_failed){ AGENT_STAGE_EXEC, ENOENT });
        assert_int_equal(judge(AGENT_FROM_INSIDE, 0), 0);
        assert_int_equal(agent_read_failed(packet.bytes, &failed), 0);
        assert_int_equal(failed.stage, AGENT_STAGE_EXEC);
        assert_int_equal(failed.error, ENOENT);
        agent_write_exited(&packet, 1, &(struct agent_exited){ .is_signal = 1, .value = 9 });
        assert_int_equal(judge(AGENT_FROM_INSIDE, 0), 0);
        assert_int_equal(agent_read_exited(packet.bytes, &exited), 0);
        assert_int_equal(exited.is_signal, 1);
        assert_int_equal(exited.value, 9);
        assert_false(exited.has_usage);
}

static const struct agent_exited COUNTED = { .has_usage = true, .usage = { 1, (uint64_t)1 << 40, (uint64_t)1 << 52 } };

static void usage_is_read_as_written(void **state)
{
        struct agent_exited exited = { 0 };

        (void)state;
        agent_write_exited(&packet, 1, &COUNTED);
        assert_int_equal(packet.length, AGENT_HEADER_BYTES + 32);
        assert_int_equal(judge(AGENT_FROM_INSIDE, 0), 0);
        assert_int_equal(agent_read_exited(packet.bytes, &exited), 0);
        assert_true(exited.has_usage);
        assert_int_equal(exited.usage.user_us, COUNTED.usage.user_us);
        assert_int_equal(exited.usage.system_us, COUNTED.usage.system_us);
        assert_int_equal(exited.usage.peak_bytes, COUNTED.usage.peak_bytes);
}

/* Each number over its bound, and a payload of every length between that without usage and that with it. */
static void usage_out_of_range_is_refused(void **state)
{
        struct agent_exited exited;

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                agent_write_exited(&packet, 1, &COUNTED);
                memset(packet.bytes + AGENT_HEADER_BYTES + 8 + 8 * i, 0xff, 8);
                assert_int_equal(agent_read_exited(packet.bytes, &exited), -EBADMSG);
        }
        for (unsigned length = 9; length < 32; length++) {
                agent_write_exited(&packet, 1, &COUNTED);
                packet.length = AGENT_HEADER_BYTES + length;
                packet.bytes[8] = (uint8_t)length;
                assert_int_equal(judge(AGENT_FROM_INSIDE, 0), 0);
                assert_int_equal(agent_read_exited(packet.bytes, &exited), -EBADMSG);
        }
}

static void reports_out_of_range_are_refused(void **state)
{
        static const struct agent_exited EXITS[] = {
                { .value = 256 }, { .is_signal = 1 }, { .is_signal = 1, .value = 65 }, { .is_signal = 2, .value = 1 }
        };
        static const struct agent_failed FAILURES[] = { { AGENT_STAGES, 2 }, { 0, 0 }, { 0, 4096 } };
        struct agent_exited exited;
        struct agent_failed failed;

        (void)state;
        for (size_t i = 0; i < sizeof EXITS / sizeof EXITS[0]; i++) {
                agent_write_exited(&packet, 1, &EXITS[i]);
                assert_int_equal(agent_read_exited(packet.bytes, &exited), -EBADMSG);
        }
        for (size_t i = 0; i < sizeof FAILURES / sizeof FAILURES[0]; i++) {
                agent_write_failed(&packet, 1, &FAILURES[i]);
                assert_int_equal(agent_read_failed(packet.bytes, &failed), -EBADMSG);
        }
}

static void orders_are_read_as_written(void **state)
{
        struct agent_welcome welcome = { 0 };
        struct agent_resize resize = { 0 };
        uint32_t signal = 0;

        (void)state;
        agent_write_welcome(&packet, &(struct agent_welcome){ 1, AGENT_WELCOME_FRAMED, "fifteen letters" });
        assert_int_equal(judge(AGENT_FROM_DAEMON, 0), 0);
        assert_int_equal(agent_read_welcome(packet.bytes, &welcome), 0);
        assert_int_equal(welcome.flags, AGENT_WELCOME_FRAMED);
        assert_memory_equal(welcome.token, "fifteen letters", AGENT_TOKEN_BYTES);
        agent_write_signal(&packet, 4, 15);
        assert_int_equal(judge(AGENT_FROM_DAEMON, 0), 0);
        assert_int_equal(agent_read_signal(packet.bytes, &signal), 0);
        assert_int_equal(signal, 15);
        agent_write_signal(&packet, 4, 0); /* does anything of it live? */
        assert_int_equal(agent_read_signal(packet.bytes, &signal), 0);
        agent_write_gone(&packet, 4);
        assert_int_equal(judge(AGENT_FROM_INSIDE, 0), 0);
        assert_int_equal(judge(AGENT_FROM_DAEMON, 0), -EBADMSG);
        agent_write_signal(&packet, 4, 65);
        assert_int_equal(agent_read_signal(packet.bytes, &signal), -EBADMSG);
        agent_write_resize(&packet, 4, &(struct agent_resize){ 24, 80 });
        assert_int_equal(judge(AGENT_FROM_DAEMON, 0), 0);
        assert_int_equal(agent_read_resize(packet.bytes, &resize), 0);
        assert_int_equal(resize.cols, 80);
}

static void bytes_are_read_as_written(void **state)
{
        const void *bytes;
        size_t length;
        unsigned stream;
        uint32_t credit;

        (void)state;
        for (int side = AGENT_FROM_DAEMON; side <= AGENT_FROM_INSIDE; side++) {
                agent_write_data(&packet, 2, AGENT_STREAM_ERR, "xyz", 3);
                assert_int_equal(judge((enum agent_side)side, 0), 0);
                assert_int_equal(agent_read_data(packet.bytes, &stream, &bytes, &length), 0);
                assert_int_equal(stream, AGENT_STREAM_ERR);
                assert_int_equal(length, 3);
                assert_memory_equal(bytes, "xyz", 3);
        }
        agent_write_data(&packet, 2, AGENT_STREAMS, "xyz", 3);
        assert_int_equal(agent_read_data(packet.bytes, &stream, &bytes, &length), -EBADMSG);
        agent_write_credit(&packet, 2, AGENT_STREAM_OUT, 4096);
        assert_int_equal(agent_read_credit(packet.bytes, &stream, &credit), 0);
        assert_int_equal(credit, 4096);
        agent_write_credit(&packet, 2, AGENT_STREAM_OUT, AGENT_WINDOW_BYTES + 1);
        assert_int_equal(agent_read_credit(packet.bytes, &stream, &credit), -EBADMSG);
        agent_write_end(&packet, 2, AGENT_STREAM_OUT);
        assert_int_equal(agent_read_end(packet.bytes, &stream), 0);
}

/* ---- packets that break a rule: one that keeps them all, with one thing changed ---- */

static void set_byte(size_t at, uint8_t value)
{
        packet.bytes[at] = value;
}

static void broken_packets_are_refused(void **state)
{
        static const struct {
                size_t at;
                uint8_t value;
        } CHANGES[] = {
                { 0, 0 },
                { 0, 99 },           /* no such kind */
                { 0, AGENT_HELLO },  /* of another length, and without a number */
                { 0, AGENT_SIGNAL }, /* not for this side to send */
                { 1, 1 },            /* a kind over 255 */
                { 2, 1 },            /* a descriptor that did not come */
                { 4, 0 },            /* no number */
                { 8, 7 },
                { 8, 9 },
                { 11, 0x80 }, /* another length than came */
        };
        struct agent_header header;

        (void)state;
        for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
                agent_write_exited(&packet, 1, &(struct agent_exited){ 0 });
                assert_int_equal(judge(AGENT_FROM_INSIDE, 0), 0);
                set_byte(CHANGES[i].at, CHANGES[i].value);
                assert_int_equal(judge(AGENT_FROM_INSIDE, 0), -EBADMSG);
        }
        agent_write_exited(&packet, 1, &(struct agent_exited){ 0 });
        assert_int_equal(judge(AGENT_FROM_DAEMON, 0), -EBADMSG);
        assert_int_equal(judge(AGENT_FROM_INSIDE, 1), -EBADMSG);
        assert_int_equal(agent_wire_check(AGENT_FROM_INSIDE, packet.bytes, packet.length, 0, true, &header), -EBADMSG);
        for (size_t length = 0; length < packet.length; length++)
                assert_int_equal(agent_wire_check(AGENT_FROM_INSIDE, packet.bytes, length, 0, false, &header),
                                 -EBADMSG);
}

static void the_descriptors_of_a_start(void **state)
{
        (void)state;
        assert_int_equal(agent_start_fds(0, false), 2);
        assert_int_equal(agent_start_fds(AGENT_START_JOIN | AGENT_START_INPUT, false), 4);
        assert_int_equal(agent_start_fds(AGENT_START_INPUT | AGENT_START_TTY, false), 2);
        assert_int_equal(agent_start_fds(AGENT_START_INPUT | AGENT_START_TTY, true), 0);
}

/* ---- specs ---- */

static const char *const ARGV[] = { "sh", "-c", "", NULL };
static const char *const ENVIRONMENT[] = { "A=b", "C=", NULL };

static uint8_t *make_spec(size_t *ret_length)
{
        uint8_t *bytes;

        *ret_length = agent_spec_size("/workspace", ARGV, ENVIRONMENT);
        assert_true(*ret_length > 0);
        bytes = malloc(*ret_length);
        assert_non_null(bytes);
        agent_spec_write(bytes, "/workspace", ARGV, ENVIRONMENT);
        return bytes;
}

static void a_spec_is_read_as_written(void **state)
{
        char *texts[16];
        struct agent_spec spec = { 0 };
        size_t length;
        uint8_t *bytes = make_spec(&length);

        (void)state;
        assert_int_equal(agent_spec_read(bytes, length, texts, 16, &spec), 0);
        assert_string_equal(spec.working_dir, "/workspace");
        assert_int_equal(spec.n_argv, 3);
        assert_string_equal(spec.argv[2], "");
        assert_null(spec.argv[3]);
        assert_int_equal(spec.n_environment, 2);
        assert_string_equal(spec.environment[1], "C=");
        assert_null(spec.environment[2]);
        assert_int_equal(agent_spec_read(bytes, length, texts, 6, &spec), -E2BIG);
        free(bytes);
}

/* It is invalid when it is cut anywhere, and when any byte outside a text is 0xff. */
static void a_cut_spec_is_none(void **state)
{
        char *texts[16];
        struct agent_spec spec;
        size_t length;
        uint8_t *bytes = make_spec(&length);

        (void)state;
        for (size_t cut = 0; cut < length; cut++) {
                uint8_t *copy = malloc(cut + 1); /* the sanitizer sees a byte too many */

                assert_non_null(copy);
                memcpy(copy, bytes, cut);
                assert_true(agent_spec_read(copy, cut, texts, 16, &spec) < 0);
                free(copy);
        }
        for (size_t at = 0; at < 12; at++) {
                uint8_t kept = bytes[at];

                bytes[at] = 0xff;
                assert_true(agent_spec_read(bytes, length, texts, 16, &spec) < 0);
                bytes[at] = kept;
        }
        free(bytes);
}

static void specs_that_mean_nothing_are_refused(void **state)
{
        static const char *const NONE[] = { NULL };
        static const char *const EMPTY[] = { "", NULL };
        static const char *const NO_SIGN[] = { "A", NULL };
        static const char *const NO_NAME[] = { "=b", NULL };
        static const struct {
                const char *working_dir;
                const char *const *argv, *const *environment;
        } CASES[] = {
                { "/", NONE, NONE },    { "/", EMPTY, NONE },        { "/", ARGV, NO_SIGN },
                { "/", ARGV, NO_NAME }, { "workspace", ARGV, NULL },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                size_t length = agent_spec_size(CASES[i].working_dir, CASES[i].argv, CASES[i].environment);
                uint8_t *bytes = malloc(length);
                char *texts[16];
                struct agent_spec spec;

                assert_non_null(bytes);
                agent_spec_write(bytes, CASES[i].working_dir, CASES[i].argv, CASES[i].environment);
                assert_int_equal(agent_spec_read(bytes, length, texts, 16, &spec), -EBADMSG);
                free(bytes);
        }
}

static void a_spec_over_its_bounds_has_no_size(void **state)
{
        const char **argv = calloc(AGENT_TEXTS_MAX + 2, sizeof *argv);
        char *large = malloc(AGENT_SPEC_MAX + 1);

        (void)state;
        assert_true(argv != NULL && large != NULL);
        for (size_t i = 0; i < AGENT_TEXTS_MAX; i++)
                argv[i] = "a";
        assert_true(agent_spec_size("/", argv, NULL) > 0);
        argv[AGENT_TEXTS_MAX] = "a";
        assert_int_equal(agent_spec_size("/", argv, NULL), 0);
        memset(large, 'a', AGENT_SPEC_MAX);
        large[AGENT_SPEC_MAX] = '\0';
        assert_int_equal(agent_spec_size("/", (const char *const[]){ large, NULL }, NULL), 0);
        free(large);
        free(argv);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hello_is_read_as_written),
                cmocka_unit_test(start_is_read_as_written),
                cmocka_unit_test(start_with_a_lie_is_refused),
                cmocka_unit_test(reports_are_read_as_written),
                cmocka_unit_test(usage_is_read_as_written),
                cmocka_unit_test(usage_out_of_range_is_refused),
                cmocka_unit_test(reports_out_of_range_are_refused),
                cmocka_unit_test(orders_are_read_as_written),
                cmocka_unit_test(bytes_are_read_as_written),
                cmocka_unit_test(broken_packets_are_refused),
                cmocka_unit_test(the_descriptors_of_a_start),
                cmocka_unit_test(a_spec_is_read_as_written),
                cmocka_unit_test(a_cut_spec_is_none),
                cmocka_unit_test(specs_that_mean_nothing_are_refused),
                cmocka_unit_test(a_spec_over_its_bounds_has_no_size),
        };

        return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
