/* A helper that dies, hangs, answers too long, answers late. The helper process is this very program: main knows from
 * its argv[0]. The verb of a request says what the helper does. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "helper-link.h"
#include "scope.h"

#define HELPER_NAME "test-helper"
#define SOON_S 0.05
#define SILENCE_S 0.3
#define AMPLE_S 20.0

enum { MAGIC = 0x74736574, VERSION = 3 };

enum verb {
        ECHO = 1,
        DIE,
        HANG,
        TOO_LONG,
        TOO_SHORT,
        NEXT_TIME,
        OTHER_VERB,
        OTHER_MAGIC,
        OTHER_VERSION,
        LOOK,
        WITH_FD,
        SEE,
        VERBS
};

struct message {
        struct helper_head head;
        int32_t number;  /* comes back */
        int32_t pid;     /* of the helper */
        int32_t oddness; /* of LOOK: what it has that it should not have */
        int32_t n_fds;   /* that came with the request */
        uint64_t inodes[HELPER_FDS_MAX];
};

/* ---- the helper ---- */

static int count_descriptors(void)
{
        DIR *directory = opendir("/proc/self/fd");
        int count = 0;

        while (directory != NULL && readdir(directory) != NULL)
                count++;
        if (directory != NULL)
                closedir(directory);
        return count - 3; /* ".", ".." and the directory's own */
}

static int32_t find_oddness(void)
{
        struct sigaction action;
        sigset_t mask;

        (void)sigprocmask(SIG_SETMASK, NULL, &mask);
        (void)sigaction(SIGUSR1, NULL, &action);
        return (count_descriptors() != HELPER_FD + 1) | (environ != NULL && *environ != NULL) << 1 |
               sigismember(&mask, SIGUSR2) << 2 | (action.sa_handler != SIG_DFL) << 3;
}

/* SEE answers with their inodes, or an oddness. */
static void see(struct message *message, const struct helper_fds *fds)
{
        struct stat status;

        message->n_fds = (int32_t)fds->n;
        for (size_t i = 0; i < fds->n; i++) {
                message->oddness |= fstat(fds->fds[i], &status) < 0 || fcntl(fds->fds[i], F_GETFD) != FD_CLOEXEC;
                message->inodes[i] = status.st_ino;
        }
}

static void serve(int fd, struct message *message, const struct helper_fds *fds)
{
        static struct message held; /* the answer to NEXT_TIME: sent when the next request has come */
        size_t length = sizeof *message;

        message->pid = (int32_t)getpid();
        if (held.head.verb != 0)
                (void)helper_send(fd, &held, sizeof held);
        held.head.verb = 0;
        switch (message->head.verb) {
        case DIE:
                _exit(1);
        case HANG:
                for (;;)
                        (void)pause();
        case TOO_LONG: /* the kernel sends any length, so one byte more than there is room for */
                (void)send(fd, (const unsigned char[HELPER_MESSAGE_MAX + 1]){ 0 }, HELPER_MESSAGE_MAX + 1, 0);
                return;
        case TOO_SHORT:
                length = sizeof message->head;
                break;
        case NEXT_TIME:
                held = *message;
                return;
        case OTHER_VERB:
                message->head.verb = ECHO;
                break;
        case OTHER_MAGIC:
                message->head.magic++;
                break;
        case OTHER_VERSION:
                message->head.version++;
                break;
        case LOOK:
                message->oddness = find_oddness();
                break;
        case WITH_FD:
                (void)helper_send_fds(fd, message, length, &(const int){ STDIN_FILENO }, 1);
                return;
        case SEE:
                see(message, fds);
                break;
        default:
                break;
        }
        (void)helper_send(fd, message, length);
}

static int run_helper(int argc, char **argv)
{
        struct helper_message message;
        struct pollfd socket = { .events = POLLIN };
        size_t length;

        if (helper_find_socket(argc, argv, &socket.fd) < 0)
                return 2;
        while (poll(&socket, 1, -1) == 1) {
                AUTO(helper_fds_close) struct helper_fds fds = { .n = 0 };

                if (helper_receive_fds(socket.fd, &message, &length, &fds) != 1)
                        return 0;
                serve(socket.fd, (struct message *)(void *)&message, &fds);
        }
        return 1;
}

/* ---- the client ---- */

struct seen {
        unsigned calls;
        int err;
        struct message reply;
        struct helper **to_free;
};

struct world {
        struct ev_loop *loop;
        struct helper *helper;
        unsigned ups, downs, messages;
};

static int check(const void *bytes, size_t length)
{
        return length == sizeof(struct message) && helper_is_head(bytes, length, MAGIC, VERSION) ? 0 : -EPROTO;
}

static void on_up(void *arg)
{
        ((struct world *)arg)->ups++;
}

static void on_down(void *arg)
{
        ((struct world *)arg)->downs++;
}

static void on_message(void *arg, const void *message)
{
        (void)message;
        ((struct world *)arg)->messages++;
}

static const struct helper_events EVENTS = { on_up, on_down, on_message };
static const struct helper_kind PATIENT = { HELPER_NAME, MAGIC, VERSION, 0.01, 0.04, 0, check, false };
static const struct helper_kind WATCHED = { HELPER_NAME, MAGIC, VERSION, 0.01, 0.04, SILENCE_S, check, false };

static void on_done(void *arg, const void *reply, int err)
{
        struct seen *seen = arg;

        seen->calls++;
        seen->err = err;
        if (reply != NULL)
                seen->reply = *(const struct message *)reply;
        if (seen->to_free != NULL)
                *seen->to_free = helper_free(*seen->to_free);
}

static int set_up(void **state)
{
        static struct world world;

        world = (struct world){ .loop = ev_loop_new(EVFLAG_AUTO) };
        *state = &world;
        return 0;
}

/* Nothing is left of any helper: no process, no zombie. */
static int tear_down(void **state)
{
        struct world *world = *state;

        world->helper = helper_free(world->helper);
        ev_loop_destroy(world->loop);
        return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static void begin(struct world *world, const struct helper_kind *kind)
{
        assert_int_equal(helper_new(&world->helper, world->loop, kind, "/proc/self/exe", &EVENTS, world), 0);
}

static struct helper_call *call(struct world *world, enum verb verb, int32_t number, double deadline_s,
                                struct seen *seen)
{
        struct message message = { .head.verb = (uint16_t)verb, .number = number };
        struct helper_call *made = NULL;

        assert_int_equal(helper_call(world->helper, &message.head, sizeof message, deadline_s, on_done, seen, &made),
                         0);
        return made;
}

static void turn(struct world *world, const unsigned *count, unsigned until)
{
        while (*count < until)
                (void)ev_run(world->loop, EVRUN_ONCE);
}

/* One round with a helper that works, which shows that it does. A watched one may be killed before it has begun, on a
 * busy machine. */
static pid_t echo(struct world *world)
{
        struct seen seen = { .err = ENOTCONN };

        while (seen.err == ENOTCONN) {
                unsigned ups = world->ups;

                (void)call(world, ECHO, 4711, AMPLE_S, &seen);
                turn(world, &seen.calls, seen.calls + 1);
                if (seen.err == ENOTCONN)
                        turn(world, &world->ups, ups + 1);
        }
        assert_int_equal(seen.err, 0);
        assert_int_equal(seen.reply.number, 4711);
        return seen.reply.pid;
}

static void calls_are_answered_in_any_number(void **state)
{
        struct world *world = *state;
        struct seen seen[20] = { 0 };

        begin(world, &PATIENT);
        for (int i = 0; i < 20; i++)
                (void)call(world, ECHO, i, AMPLE_S, &seen[i]);
        assert_int_equal(seen[0].calls, 0); /* never from inside the call */
        for (int i = 0; i < 20; i++) {
                turn(world, &seen[i].calls, 1);
                assert_int_equal(seen[i].err, 0);
                assert_int_equal(seen[i].reply.number, i);
        }
        assert_int_equal(world->messages, 20);
        assert_int_equal(world->ups + world->downs, 0);
}

static void on_usr1(int number)
{
        (void)number;
}

static void it_inherits_nothing(void **state)
{
        struct world *world = *state;
        struct seen seen = { 0 };
        int fd = dup(1); /* not close-on-exec, as a library might leave one */
        sigset_t blocked, before;

        (void)sigemptyset(&blocked);
        (void)sigaddset(&blocked, SIGUSR2);
        (void)sigprocmask(SIG_BLOCK, &blocked, &before);
        (void)signal(SIGUSR1, on_usr1);
        begin(world, &PATIENT);
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        (void)signal(SIGUSR1, SIG_DFL);
        close(fd);
        (void)call(world, LOOK, 0, AMPLE_S, &seen);
        turn(world, &seen.calls, 1);
        assert_int_equal(seen.reply.oddness, 0);
}

static void one_that_dies_is_started_again(void **state)
{
        struct world *world = *state;
        struct seen killer = { 0 };
        struct seen waiting = { 0 };
        pid_t pid;

        begin(world, &PATIENT);
        pid = echo(world);
        (void)call(world, DIE, 0, AMPLE_S, &killer);
        (void)call(world, ECHO, 0, AMPLE_S, &waiting);
        turn(world, &waiting.calls, 1);
        assert_int_equal(killer.calls, 1);
        assert_int_equal(killer.err, ENOTCONN);
        assert_int_equal(waiting.err, ENOTCONN);
        assert_int_equal(world->downs, 1);
        turn(world, &world->ups, 1);
        assert_int_not_equal(echo(world), pid);
}

/* Between two processes a call ends at the loop's next turn, not at its deadline. */
static void a_call_to_nobody_ends_at_once(void **state)
{
        struct world *world = *state;
        struct seen seen = { 0 };
        struct message message = { .head.verb = ECHO };

        begin(world, &PATIENT);
        helper_restart(world->helper);
        turn(world, &world->downs, 1);
        assert_int_equal(helper_post(world->helper, &message.head, sizeof message), -ENOTCONN);
        (void)call(world, ECHO, 0, AMPLE_S, &seen);
        turn(world, &seen.calls, 1);
        assert_int_equal(seen.err, ENOTCONN);
        turn(world, &world->ups, 1);
        (void)echo(world);
}

static void a_call_that_hangs_ends_at_its_deadline(void **state)
{
        struct world *world = *state;
        struct seen seen = { 0 };

        begin(world, &PATIENT);
        (void)call(world, HANG, 0, SOON_S, &seen);
        turn(world, &seen.calls, 1);
        assert_int_equal(seen.err, ETIMEDOUT);
        assert_int_equal(world->downs, 0); /* this kind is not watched: it may be slow */
        helper_restart(world->helper);
        turn(world, &world->ups, 1);
        (void)echo(world);
}

static void one_that_is_silent_is_killed_and_started_again(void **state)
{
        struct world *world = *state;
        struct seen seen = { 0 };
        pid_t pid;

        begin(world, &WATCHED);
        pid = echo(world);
        (void)call(world, HANG, 0, AMPLE_S, &seen);
        turn(world, &seen.calls, 1);
        assert_int_equal(seen.err, ENOTCONN);
        assert_int_not_equal(echo(world), pid);
}

/* The answer comes with the next request's, long after its own call has ended. */
static void a_late_answer_is_heard_and_ends_nothing(void **state)
{
        struct world *world = *state;
        struct seen late = { 0 };

        begin(world, &PATIENT);
        (void)call(world, NEXT_TIME, 0, SOON_S, &late);
        turn(world, &late.calls, 1);
        assert_int_equal(late.err, ETIMEDOUT);
        assert_int_equal(world->messages, 0);
        (void)echo(world);
        assert_int_equal(world->messages, 2);
        assert_int_equal(late.calls, 1);
        assert_int_equal(world->downs, 0);
}

/* Whatever is malformed ends the process that sent it; a reply with another call's verb is only heard. */
static void malformed_messages_end_the_process(void **state)
{
        static const struct {
                enum verb verb;
                int err;
                unsigned restarts;
        } CASES[] = {
                { TOO_LONG, ENOTCONN, 1 },      { TOO_SHORT, ENOTCONN, 1 }, { OTHER_MAGIC, ENOTCONN, 1 },
                { OTHER_VERSION, ENOTCONN, 1 }, { WITH_FD, ENOTCONN, 1 },   { OTHER_VERB, ETIMEDOUT, 0 },
        };
        struct world *world = *state;

        begin(world, &PATIENT);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                double deadline_s = CASES[i].err == ETIMEDOUT ? SOON_S : AMPLE_S;
                unsigned ups = world->ups;
                struct seen seen = { 0 };

                (void)echo(world);
                (void)call(world, CASES[i].verb, 0, deadline_s, &seen);
                turn(world, &seen.calls, 1);
                assert_int_equal(seen.err, CASES[i].err);
                turn(world, &world->ups, ups + CASES[i].restarts);
                assert_int_equal(world->ups, ups + CASES[i].restarts);
        }
        (void)echo(world);
}

/* The helper keeps none: the count of its descriptors stays. */
static void descriptors_travel_with_a_request(void **state)
{
        struct world *world = *state;
        struct message message = { .head.verb = SEE };
        struct seen look = { 0 };
        int fds[HELPER_FDS_MAX + 1];
        struct stat status[HELPER_FDS_MAX];

        begin(world, &PATIENT);
        for (size_t i = 0; i <= HELPER_FDS_MAX; i++) {
                fds[i] = open(i % 2 == 0 ? "/" : "/proc", O_PATH | O_CLOEXEC);
                assert_true(fds[i] >= 0);
                if (i < HELPER_FDS_MAX)
                        assert_int_equal(fstat(fds[i], &status[i]), 0);
        }
        for (size_t n = 0; n <= HELPER_FDS_MAX; n++) {
                struct seen seen = { 0 };

                assert_int_equal(helper_call_fds(world->helper, &message.head, sizeof message, fds, n, AMPLE_S, on_done,
                                                 &seen, NULL),
                                 0);
                for (size_t i = 0; n == HELPER_FDS_MAX && i <= HELPER_FDS_MAX; i++)
                        close(fds[i]); /* they are on their way */
                turn(world, &seen.calls, 1);
                assert_int_equal(seen.reply.n_fds, n);
                assert_int_equal(seen.reply.oddness, 0);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(seen.reply.inodes[i], status[i].st_ino);
        }
        assert_int_equal(helper_call_fds(world->helper, &message.head, sizeof message, fds, HELPER_FDS_MAX + 1, AMPLE_S,
                                         on_done, NULL, NULL),
                         -EINVAL);
        (void)call(world, LOOK, 0, AMPLE_S, &look);
        turn(world, &look.calls, 1);
        assert_int_equal(look.reply.oddness, 0);
}

/* Sends as many as a message may have, or one more, which no call of ours does. */
static void send_rights(int socket, size_t n)
{
        union {
                struct cmsghdr head;
                unsigned char bytes[CMSG_SPACE((HELPER_FDS_MAX + 1) * sizeof(int))];
        } rights = {
                .head = { .cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS }
        };
        struct msghdr packet = { .msg_iov = &(struct iovec){ (char[]){ "request" }, 7 },
                                 .msg_iovlen = 1,
                                 .msg_control = &rights,
                                 .msg_controllen = CMSG_SPACE(n * sizeof(int)) };

        for (size_t i = 0; i < n; i++)
                memcpy(CMSG_DATA(&rights.head) + i * sizeof(int), &(const int){ STDIN_FILENO }, sizeof(int));
        assert_int_equal(sendmsg(socket, &packet, MSG_NOSIGNAL), 7);
}

static void refused_descriptors_are_closed(void **state)
{
        struct helper_message message;
        struct helper_fds fds = { .n = 0 };
        size_t length = 0;
        int pair[2];
        int before;

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        before = count_descriptors();
        send_rights(pair[0], HELPER_FDS_MAX + 1);
        assert_int_equal(helper_receive_fds(pair[1], &message, &length, &fds), -EBADMSG);
        assert_int_equal(fds.n, 0);
        send_rights(pair[0], 1);
        assert_int_equal(helper_receive(pair[1], &message, &length), -EBADMSG);
        assert_int_equal(helper_send_fds(pair[0], (const unsigned char[HELPER_MESSAGE_MAX + 1]){ 0 },
                                         HELPER_MESSAGE_MAX + 1, &(const int){ STDIN_FILENO }, 1),
                         0);
        assert_int_equal(helper_receive_fds(pair[1], &message, &length, &fds), -EMSGSIZE);
        assert_int_equal(count_descriptors(), before);
        /* The control: what may come does, and is the receiver's to close. */
        send_rights(pair[0], HELPER_FDS_MAX);
        assert_int_equal(helper_receive_fds(pair[1], &message, &length, &fds), 1);
        assert_int_equal(fds.n, HELPER_FDS_MAX);
        assert_int_equal(count_descriptors(), before + HELPER_FDS_MAX);
        helper_fds_close(&fds);
        assert_int_equal(count_descriptors(), before);
        close(pair[0]);
        close(pair[1]);
}

static void a_cancelled_call_never_returns(void **state)
{
        struct world *world = *state;
        struct seen seen = { 0 };

        begin(world, &PATIENT);
        assert_null(helper_cancel(call(world, ECHO, 0, AMPLE_S, &seen)));
        assert_null(helper_cancel(NULL));
        (void)echo(world);
        assert_int_equal(world->messages, 2);
        assert_int_equal(seen.calls, 0);
}

/* In a reply's done and in a dead process's: what is left in flight is dropped. */
static void done_may_free_the_helper(void **state)
{
        static const enum verb VERBS_[] = { ECHO, DIE };
        struct world *world = *state;

        for (size_t i = 0; i < 2; i++) {
                struct seen dropped = { 0 };
                struct seen seen = { .to_free = &world->helper };

                begin(world, &PATIENT);
                (void)call(world, VERBS_[i], 0, AMPLE_S, &seen);
                (void)call(world, HANG, 0, AMPLE_S, &dropped);
                turn(world, &seen.calls, 1);
                assert_null(world->helper);
                (void)ev_run(world->loop, EVRUN_NOWAIT);
                assert_int_equal(dropped.calls, 0);
        }
}

/* A program that is no helper ends at once, each time; a missing one is an error. */
static void other_programs_are_started_with_growing_delays(void **state)
{
        static const double DELAYS_S[] = { 0.01, 0.02, 0.04, 0.04 };
        struct world *world = *state;
        struct helper *none = NULL;
        double delay_s = 0;

        assert_int_equal(helper_new(&none, world->loop, &PATIENT, "/nonexistent", &EVENTS, world), -ENOENT);
        assert_null(none);
        assert_int_equal(helper_new(&world->helper, world->loop, &PATIENT, "/bin/false", &EVENTS, world), 0);
        turn(world, &world->ups, 3);
        assert_in_range(world->downs, 3, 4);
        for (size_t i = 0; i < 4; i++) {
                delay_s = helper_next_delay(&PATIENT, delay_s, false);
                assert_true(delay_s == DELAYS_S[i]);
        }
        assert_true(helper_next_delay(&PATIENT, delay_s, true) == DELAYS_S[0]); /* it had worked */
}

static void answer_locally(void *arg, const void *request, struct helper_message *ret_reply, size_t *ret_length)
{
        (void)arg;
        memcpy(ret_reply, request, sizeof(struct message));
        *ret_length = sizeof(struct message);
}

static void a_local_one_answers_from_the_loop(void **state)
{
        struct world *world = *state;
        struct seen first = { 0 };
        struct seen freeing = { .to_free = &world->helper };
        struct seen dropped = { 0 };

        assert_int_equal(helper_new_local(&world->helper, world->loop, &WATCHED, answer_locally, &EVENTS, world), 0);
        (void)call(world, ECHO, 7, AMPLE_S, &first);
        (void)call(world, ECHO, 8, AMPLE_S, &freeing);
        (void)call(world, ECHO, 9, AMPLE_S, &dropped);
        assert_int_equal(first.calls, 0);
        turn(world, &first.calls, 1);
        assert_int_equal(first.reply.number, 7);
        turn(world, &freeing.calls, 1);
        (void)ev_run(world->loop, EVRUN_NOWAIT);
        assert_int_equal(dropped.calls, 0);
        assert_int_equal(world->messages, 2);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(calls_are_answered_in_any_number, set_up, tear_down),
                cmocka_unit_test_setup_teardown(it_inherits_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(one_that_dies_is_started_again, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_call_to_nobody_ends_at_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_call_that_hangs_ends_at_its_deadline, set_up, tear_down),
                cmocka_unit_test_setup_teardown(one_that_is_silent_is_killed_and_started_again, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_late_answer_is_heard_and_ends_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(malformed_messages_end_the_process, set_up, tear_down),
                cmocka_unit_test_setup_teardown(descriptors_travel_with_a_request, set_up, tear_down),
                cmocka_unit_test(refused_descriptors_are_closed),
                cmocka_unit_test_setup_teardown(a_cancelled_call_never_returns, set_up, tear_down),
                cmocka_unit_test_setup_teardown(done_may_free_the_helper, set_up, tear_down),
                cmocka_unit_test_setup_teardown(other_programs_are_started_with_growing_delays, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_local_one_answers_from_the_loop, set_up, tear_down),
        };

        if (strcmp(argv[0], HELPER_NAME) == 0)
                return run_helper(argc, argv);
        return cmocka_run_group_tests_name("kernel: helper", tests, NULL, NULL);
}
