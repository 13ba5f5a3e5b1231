#include "session.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api-path.h"
#include "api-socket.h"
#include "calls.h"
#include "exec-events.h"
#include "interrupt.h"
#include "scope.h"
#include "terminal.h"
#include "view.h"
#include "websocket.h"

enum { CHANNEL_INPUT, CHANNEL_OUTPUT, CHANNEL_ERRORS, CHANNEL_STATUS, CHANNEL_RESIZE, CHANNEL_CLOSE = 255 };
/* These fit into carreld's 16 KiB for a request's head, and its 1 MiB for a message. An older carreld takes no request
 * as a message, so only long requests use one. */
enum { INPUT_BYTES = 32 << 10, TARGET_MAX_BYTES = 15 << 10, TARGET_MAX_ARGUMENTS = 500, MESSAGE_MAX_BYTES = 1 << 20 };
static const double HANDSHAKE_DEADLINE_S = 3660; /* an ensure is answered by ensure_timeout_s, an hour at most */

struct session {
        struct cli *cli;
        const struct session_request *request;
        struct exec_events events;
        struct ev_loop *loop;
        char *message; /* the request if it is too long for a path, or NULL */
        struct websocket *socket;
        struct terminal terminal;
        ev_io input, interrupt;
        bool has_input_ended;
        int failure; /* a negative errno of our own stdout or stderr */
        int signal;  /* that ended us */
        unsigned code;
};

/* ---- signals ---- */

static void leave(struct session *session)
{
        ev_break(session->loop, EVBREAK_ALL);
}

static void send_size(struct session *session)
{
        struct buffer size = { 0 };
        uint16_t rows, columns;

        terminal_size(STDIN_FILENO, &rows, &columns);
        if (rows == 0 || columns == 0)
                return;
        if (buffer_format(&size, "{\"Width\":%u,\"Height\":%u}", columns, rows) == 0)
                (void)websocket_send(session->socket, CHANNEL_RESIZE, size.data, size.length);
        buffer_free(&size);
}

static void take_signal(struct session *session)
{
        int signal = interrupt_read(session->events.interrupt_fd);

        if (signal == 0)
                return;
        if (signal == SIGWINCH) {
                send_size(session);
        } else if (signal == SIGCONT) {
                /* This process was stopped, and the shell took the terminal meanwhile. */
                terminal_resume(&session->terminal);
                send_size(session);
        } else if (session->request->is_tty || exec_events_on_interrupt(&session->events, signal) < 0) {
                session->signal = signal;
                leave(session);
        }
}

/* ---- from the program ---- */

/* Signals are handled while a slow terminal or pipe blocks. */
static int pass_on(struct session *session, int fd, const uint8_t *bytes, size_t length)
{
        while (length > 0) {
                ssize_t n = interrupt_write_some(fd, bytes, length, session->events.interrupt_fd);

                if (n == -EINTR)
                        take_signal(session);
                if (n == -EINTR && session->signal == 0)
                        continue;
                if (n < 0)
                        return (int)n;
                bytes += n;
                length -= (size_t)n;
        }
        return 0;
}

static void on_status(struct session *session, const uint8_t *bytes, size_t length)
{
        AUTO(auto_json) cJSON *status = cJSON_ParseWithLength((const char *)bytes, length);
        const cJSON *error = view_find(status, "error");

        if (status == NULL)
                return;
        /* Messages go below the program's last line, on a restored terminal. */
        terminal_leave(&session->terminal);
        if (error != NULL)
                exec_events_fail(&session->events, error);
        else
                exec_events_end(&session->events, status);
}

static void on_message(void *arg, bool is_text, const uint8_t *bytes, size_t length)
{
        struct session *session = arg;
        int fd = length > 0 && bytes[0] == CHANNEL_ERRORS ? session->events.errors_fd : session->events.output_fd;

        if (is_text || length == 0 || session->failure < 0)
                return;
        if (bytes[0] == CHANNEL_STATUS)
                on_status(session, bytes + 1, length - 1);
        if (bytes[0] != CHANNEL_OUTPUT && bytes[0] != CHANNEL_ERRORS)
                return;
        session->failure = pass_on(session, fd, bytes + 1, length - 1);
        if (session->failure < 0)
                leave(session);
}

static void on_closed(void *arg, unsigned code)
{
        struct session *session = arg;

        session->code = code;
        leave(session);
}

/* ---- to the program ---- */

static void on_drained(void *arg)
{
        struct session *session = arg;

        if (!session->has_input_ended)
                ev_io_start(session->loop, &session->input);
}

static void end_input(struct session *session)
{
        static const uint8_t INPUT = CHANNEL_INPUT;

        ev_io_stop(session->loop, &session->input);
        session->has_input_ended = true;
        (void)websocket_send(session->socket, CHANNEL_CLOSE, &INPUT, 1);
}

static void on_input(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct session *session = watcher->data;
        char bytes[INPUT_BYTES];
        ssize_t n = read(watcher->fd, bytes, sizeof bytes);

        (void)events;
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0) {
                end_input(session);
                return;
        }
        if (websocket_send(session->socket, CHANNEL_INPUT, bytes, (size_t)n) < 0 || websocket_is_full(session->socket))
                ev_io_stop(loop, watcher);
}

static void on_interrupt(struct ev_loop *loop, ev_io *watcher, int events)
{
        (void)loop, (void)events;
        take_signal(watcher->data);
}

/* ---- the connection ---- */

/* The local TERM for a program on a terminal; NULL: not set, or given already. */
static const char *own_term(const struct session_request *request)
{
        const char *term = request->is_tty ? getenv("TERM") : NULL;

        for (size_t i = 0; i < request->environment->count; i++)
                if (str_has_prefix(request->environment->values[i], "TERM="))
                        return NULL;
        return term == NULL || *term == '\0' ? NULL : term;
}

static bool add_text(cJSON *array, const char *text)
{
        cJSON *item = cJSON_CreateString(text);

        if (item != NULL && cJSON_AddItemToArray(array, item))
                return true;
        cJSON_Delete(item);
        return false;
}

/* false: out of memory. */
static bool fill_environment(const struct session_request *request, cJSON *array)
{
        const char *term = own_term(request);
        struct buffer variable = { 0 };
        bool is_filled = true;

        for (size_t i = 0; i < request->environment->count && is_filled; i++)
                is_filled = add_text(array, request->environment->values[i]);
        if (is_filled && term != NULL)
                is_filled = buffer_format(&variable, "TERM=%s", term) == 0 && add_text(array, variable.data);
        buffer_free(&variable);
        return is_filled;
}

static bool fill_request(const struct session_request *request, cJSON *body)
{
        cJSON *argv = cJSON_AddArrayToObject(body, "argv");
        cJSON *environment = cJSON_AddArrayToObject(body, "env");
        uint16_t rows = 0, columns = 0;

        for (size_t i = 0; request->argv[i] != NULL; i++)
                if (argv == NULL || !add_text(argv, request->argv[i]))
                        return false;
        if (environment == NULL || !fill_environment(request, environment))
                return false;
        if (request->working_dir != NULL && cJSON_AddStringToObject(body, "cwd", request->working_dir) == NULL)
                return false;
        if (request->profile != NULL && cJSON_AddStringToObject(body, "profile", request->profile) == NULL)
                return false;
        if (request->timeout_s > 0 && cJSON_AddNumberToObject(body, "timeout_s", request->timeout_s) == NULL)
                return false;
        if (request->drain != NULL && request->drain->is_given &&
            cJSON_AddNumberToObject(body, "drain_s", request->drain->value) == NULL)
                return false;
        if (request->is_tty && cJSON_AddTrueToObject(body, "tty") == NULL)
                return false;
        if (request->is_tty)
                terminal_size(STDIN_FILENO, &rows, &columns);
        return rows == 0 || columns == 0 ||
               (cJSON_AddNumberToObject(body, "rows", rows) != NULL &&
                cJSON_AddNumberToObject(body, "cols", columns) != NULL);
}

/* The same request, as a query or as the first message. */
static int add_query(const cJSON *request, struct buffer *path)
{
        const cJSON *field, *item;
        int r = 0;

        cJSON_ArrayForEach(field, request)
        {
                cJSON_ArrayForEach(item, field)
                {
                        if (r == 0)
                                r = api_path_query(path, field->string, item->valuestring);
                }
                if (cJSON_IsString(field) && r == 0)
                        r = api_path_query(path, field->string, field->valuestring);
                if (cJSON_IsNumber(field))
                        (void)buffer_format(path, "&%s=%.15g", field->string, field->valuedouble);
                if (cJSON_IsTrue(field))
                        (void)buffer_format(path, "&%s=1", field->string);
        }
        return r < 0 || path->has_failed ? -ENOMEM : 0;
}

static size_t count(const char *const *texts)
{
        size_t n = 0;

        while (texts[n] != NULL)
                n++;
        return n;
}

/* Fills path, and session->message where the path would be too long. */
static int build_request(struct session *session, struct buffer *path)
{
        AUTO(auto_json) cJSON *body = cJSON_CreateObject();
        int status = cli_path(session->cli, "/v1/carrels", session->request->user, "/exec", path);
        size_t length = path->length;

        if (status != STATUS_OK)
                return status;
        if (body == NULL || !fill_request(session->request, body) || add_query(body, path) < 0)
                return cli_no_memory(session->cli);
        if (path->length <= TARGET_MAX_BYTES && count(session->request->argv) <= TARGET_MAX_ARGUMENTS)
                return STATUS_OK;
        path->length = length;
        session->message = cJSON_PrintUnformatted(body);
        if (session->message == NULL || buffer_text(path, "?request=message") < 0)
                return cli_no_memory(session->cli);
        if (strlen(session->message) <= MESSAGE_MAX_BYTES)
                return STATUS_OK;
        cli_complain(session->cli, "program, arguments and environment take more than 1 MiB: put them into a file in "
                                   "the carrel");
        return STATUS_FAILED;
}

/* The exit status, by the reason for which the loop ended. */
static int conclude(const struct session *session)
{
        const struct cli *cli = session->cli;

        if (session->signal != 0)
                return 128 + session->signal;
        if (session->failure == -EPIPE)
                return 128 + SIGPIPE; /* as a program whose reader has left */
        if (session->failure < 0) {
                cli_complain(cli, "cannot write the output: %s", strerror(-session->failure));
                return STATUS_EXEC_FAILED;
        }
        if (session->events.has_ended)
                return session->events.status;
        cli_complain(cli, "the connection to carreld ended (%u) before the program's end: its result is unknown",
                     session->code);
        return STATUS_EXEC_FAILED;
}

static void watch(struct session *session)
{
        ev_io_init(&session->input, on_input, STDIN_FILENO, EV_READ);
        ev_io_init(&session->interrupt, on_interrupt, session->events.interrupt_fd, EV_READ);
        session->input.data = session->interrupt.data = session;
        ev_io_start(session->loop, &session->input);
        ev_io_start(session->loop, &session->interrupt);
}

static int converse(struct session *session, const struct api_socket *opened)
{
        static const struct websocket_handlers HANDLERS = { on_message, on_drained, on_closed };
        int r = websocket_new(&session->socket, session->loop, opened->fd, false, opened->early.data,
                              opened->early.length, &HANDLERS, session);

        if (r == 0 && session->message != NULL)
                r = websocket_send_text(session->socket, session->message);
        if (r < 0) {
                session->socket = websocket_free(session->socket);
                (void)cli_no_memory(session->cli);
                return STATUS_EXEC_FAILED;
        }
        (void)snprintf(session->events.exec_id, sizeof session->events.exec_id, "%s", opened->exec_id);
        if (session->request->is_tty)
                r = terminal_enter(&session->terminal, STDIN_FILENO);
        watch(session);
        if (r < 0)
                cli_complain(session->cli, "cannot use the terminal: %s", strerror(-r));
        else
                ev_run(session->loop, 0);
        terminal_leave(&session->terminal);
        ev_io_stop(session->loop, &session->input);
        ev_io_stop(session->loop, &session->interrupt);
        session->socket = websocket_free(session->socket);
        return r < 0 ? STATUS_EXEC_FAILED : conclude(session);
}

static int open_and_converse(struct session *session)
{
        struct api_socket opened = { .fd = -1 };
        AUTO(auto_buffer) struct buffer path = { 0 };
        struct api_error error;

        if (build_request(session, &path) != STATUS_OK)
                return STATUS_EXEC_FAILED;
        if (api_socket_open(session->cli->socket_path, path.data, HANDSHAKE_DEADLINE_S, session->events.interrupt_fd,
                            &opened, &error) < 0) {
                int status = cli_fail(session->cli, &error);

                return error.signal != 0 ? status : STATUS_EXEC_FAILED;
        }
        int status = converse(session, &opened);
        buffer_free(&opened.early);
        close(opened.fd);
        return status;
}

int session_run(struct cli *cli, const struct session_request *request)
{
        AUTO(auto_close) int interrupt_fd = request->is_tty ? interrupt_open_terminal() : interrupt_open();
        struct session session = { .cli = cli,
                                   .request = request,
                                   .events = { .cli = cli,
                                               .output_fd = fileno(cli->out),
                                               .errors_fd = fileno(cli->err),
                                               .interrupt_fd = interrupt_fd },
                                   .terminal = { .fd = -1 } };
        int status;

        session.loop = ev_loop_new(EVFLAG_AUTO);
        if (session.loop == NULL) {
                (void)cli_no_memory(cli);
                return STATUS_EXEC_FAILED;
        }
        status = open_and_converse(&session);
        ev_loop_destroy(session.loop);
        free(session.message);
        return status;
}
