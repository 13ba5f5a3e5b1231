/* How re-entry is prevented: only the handlers of this file's own watchers call libcurl, each between enter() and
 * leave(). The functions that a user may call at any time, also from inside a callback (http_send, http_cancel,
 * http_pause, http_client_free), only move calls between lists and arm `work`. That zero-delay timer does the rest
 * outside of libcurl. leave() first drains libcurl's messages, then runs the callbacks; each call is unlinked before
 * its own. */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "scope.h"

enum { DEFAULT_CONNECTIONS = 64 };

struct http_client {
        struct ev_loop *loop;
        CURLM *multi;
        char *socket_path;
        char *authority;
        ev_timer timeout; /* libcurl's */
        ev_timer work;    /* zero delay: waiting, resuming and deferred_free calls */
        struct list waiting;
        struct list active;
        struct list finished;      /* their callbacks run next */
        struct list deferred_free; /* their callbacks never run */
        struct list resuming;
        bool is_inside; /* one of our handlers is on the stack */
        bool is_freed;  /* http_client_free was called inside a handler: the outermost one frees */
};

/* One watched socket. libcurl adds and removes it. */
struct socket_watch {
        ev_io io;
        struct http_client *client;
};

/* --- calls ------------------------------------------------------------------------------------------------- */

/* Removes the call from libcurl and the loop. Must not be called from inside libcurl. */
static void call_detach(struct http_call *call)
{
        struct http_client *client = call->client;

        list_remove(&call->resuming_node);
        ev_timer_stop(client->loop, &call->deadline);
        ev_timer_stop(client->loop, &call->idle);
        if (call->is_added)
                curl_multi_remove_handle(client->multi, call->easy);
        call->is_added = false;
        tail_stop(&call->tail);
}

/* Ends the call with call->why if that is set, else with the response. */
static void call_finish(struct http_call *call)
{
        list_remove(&call->node);
        list_append(&call->client->finished, &call->node);
}

/* Fails the call with libcurl's reason, unless it has an earlier one, which is more specific. */
static void call_fail_curl(struct http_call *call, CURLcode code)
{
        long os_errno = 0;
        int r;

        /* libcurl keeps an errno only for a failed connect. */
        curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_errno);
        r = code == CURLE_RECV_ERROR ? ECONNRESET : EIO;
        call_fail(call, FAULT_ENGINE_UNAVAILABLE, os_errno > 0 ? (int)os_errno : r,
                  call->curl_says[0] != '\0' ? call->curl_says : curl_easy_strerror(code));
}

/* The call must be in no list. */
static void call_discard(struct http_call *call)
{
        call_detach(call);
        call_free(call);
}

static void call_deliver(struct http_call *call)
{
        struct http_response response = {
                .status = call->status,
                .body = call->body.data != NULL ? call->body.data : "",
                .body_length = call->body.length,
        };

        call_detach(call);
        call->is_over = true;
        if (call->has_failed)
                call->done(call->arg, NULL, &call->why);
        else
                call->done(call->arg, &response, NULL);
        call_free(call);
}

/* --- in and out of libcurl --------------------------------------------------------------------------------- */

static void client_destroy(struct http_client *client);

static void arm_work(struct http_client *client)
{
        if (ev_is_active(&client->work))
                return;
        ev_timer_set(&client->work, 0.0, 0.0);
        ev_timer_start(client->loop, &client->work);
}

static void enter(struct http_client *client)
{
        client->is_inside = true;
}

static void collect_messages(struct http_client *client)
{
        CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
                struct http_call *call = NULL;

                if (message->msg != CURLMSG_DONE)
                        continue;
                CURLcode code = message->data.result;
                curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
                if (call->is_over)
                        continue;
                if (code != CURLE_OK)
                        call_fail_curl(call, code);
                call_finish(call);
        }
}

static void leave(struct http_client *client)
{
        collect_messages(client);
        for (struct list *node = list_pop(&client->finished); node != NULL; node = list_pop(&client->finished))
                call_deliver(LIST_ENTRY(node, struct http_call, node));
        client->is_inside = false;
        if (client->is_freed)
                client_destroy(client);
}

static void on_socket_ready(struct ev_loop *loop, ev_io *io, int revents)
{
        struct socket_watch *watch = io->data;
        struct http_client *client = watch->client;
        int events = ((revents & EV_READ) ? CURL_CSELECT_IN : 0) | ((revents & EV_WRITE) ? CURL_CSELECT_OUT : 0);
        int running;

        enter(client);
        curl_multi_socket_action(client->multi, io->fd, events, &running);
        leave(client);
}

static void on_curl_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct http_client *client = timer->data;
        int running;

        enter(client);
        curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        leave(client);
}

static void start_waiting(struct http_client *client)
{
        for (struct list *node = list_pop(&client->waiting); node != NULL; node = list_pop(&client->waiting)) {
                struct http_call *call = LIST_ENTRY(node, struct http_call, node);
                CURLMcode code = curl_multi_add_handle(client->multi, call->easy);

                list_append(&client->active, node);
                call->is_added = code == CURLM_OK;
                if (call->is_added)
                        continue;
                call_fail(call, FAULT_ENGINE_UNAVAILABLE, ENOMEM, curl_multi_strerror(code));
                call_finish(call);
        }
}

static void on_work(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct http_client *client = timer->data;

        enter(client);
        for (struct list *node = list_pop(&client->deferred_free); node != NULL;
             node = list_pop(&client->deferred_free))
                call_discard(LIST_ENTRY(node, struct http_call, node));
        start_waiting(client);
        for (struct list *node = list_pop(&client->resuming); node != NULL; node = list_pop(&client->resuming)) {
                struct http_call *call = LIST_ENTRY(node, struct http_call, resuming_node);

                if (call->is_added)
                        curl_easy_pause(call->easy, CURLPAUSE_CONT);
        }
        leave(client);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct http_call *call = timer->data;
        struct http_client *client = call->client;

        enter(client);
        call_fail(call, FAULT_DEADLINE, ETIMEDOUT, "no complete answer in time");
        call_finish(call);
        leave(client);
}

/* --- called by libcurl: none of these may call it back ------------------------------------------------------- */

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
        struct http_client *client = arg;
        struct socket_watch *watch = known;

        if (watch != NULL)
                ev_io_stop(client->loop, &watch->io);
        if (what == CURL_POLL_REMOVE) {
                free(watch);
                return 0;
        }
        if (watch == NULL) {
                watch = calloc(1, sizeof *watch);
                if (watch == NULL)
                        return -1;
                watch->client = client;
                ev_init(&watch->io, on_socket_ready);
                watch->io.data = watch;
                curl_multi_assign(client->multi, fd, watch);
        }
        ev_io_set(&watch->io, fd, ((what & CURL_POLL_IN) ? EV_READ : 0) | ((what & CURL_POLL_OUT) ? EV_WRITE : 0));
        ev_io_start(client->loop, &watch->io);
        return 0;
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
        struct http_client *client = arg;

        ev_timer_stop(client->loop, &client->timeout);
        if (timeout_ms < 0)
                return 0;
        ev_timer_set(&client->timeout, (double)timeout_ms / 1000.0, 0.0);
        ev_timer_start(client->loop, &client->timeout);
        return 0;
}

int http_send(struct http_client *client, const struct http_request *request, http_done done, void *arg,
              struct http_call **ret_call)
{
        const struct http_target target = { .socket_path = client->socket_path, .authority = client->authority };
        struct http_call *call = NULL;
        int r;

        r = call_new(&call, client->loop, &target, request);
        if (r < 0)
                return r;
        call->client = client;
        call->done = done;
        call->arg = arg;
        ev_now_update(client->loop); /* a deadline counts from now, not from the time of the loop's last wake-up */
        ev_timer_init(&call->deadline, on_deadline, request->deadline_s, 0.0);
        call->deadline.data = call;
        ev_timer_init(&call->idle, on_deadline, 0.0, request->idle_deadline_s);
        call->idle.data = call;
        if (request->deadline_s > 0)
                ev_timer_start(client->loop, &call->deadline);
        call_restart_idle(call);
        list_append(&client->waiting, &call->node);
        arm_work(client);
        *ret_call = call;
        return 0;
}

struct http_call *http_cancel(struct http_call *call)
{
        if (call == NULL || call->is_over)
                return NULL;
        call->is_over = true;
        list_remove(&call->node);
        list_remove(&call->resuming_node);
        ev_timer_stop(call->client->loop, &call->deadline);
        ev_timer_stop(call->client->loop, &call->idle);
        list_append(&call->client->deferred_free, &call->node);
        arm_work(call->client);
        return NULL;
}

void http_pause(struct http_call *call, bool is_paused)
{
        if (call->is_over || call->is_paused == is_paused)
                return;
        call->is_paused = is_paused;
        list_remove(&call->resuming_node);
        if (is_paused) {
                ev_timer_stop(call->client->loop, &call->idle);
                return;
        }
        call_restart_idle(call);
        list_append(&call->client->resuming, &call->resuming_node);
        arm_work(call->client);
}

/* --- the client -------------------------------------------------------------------------------------------- */

static void cancel_all(struct list *calls)
{
        LIST_EACH (calls, node)
                http_cancel(LIST_ENTRY(node, struct http_call, node));
}

static void client_destroy(struct http_client *client)
{
        for (struct list *node = list_pop(&client->deferred_free); node != NULL;
             node = list_pop(&client->deferred_free))
                call_discard(LIST_ENTRY(node, struct http_call, node));
        curl_multi_cleanup(client->multi);
        ev_timer_stop(client->loop, &client->timeout);
        ev_timer_stop(client->loop, &client->work);
        free(client->socket_path);
        free(client->authority);
        free(client);
        curl_global_cleanup();
}

struct http_client *http_client_free(struct http_client *client)
{
        if (client == NULL || client->is_freed)
                return NULL;
        cancel_all(&client->waiting);
        cancel_all(&client->active);
        cancel_all(&client->finished);
        client->is_freed = true;
        ev_timer_stop(client->loop, &client->work);
        if (!client->is_inside)
                client_destroy(client);
        return NULL;
}

static int set_multi(struct http_client *client, unsigned max_connections)
{
        long connections = max_connections > 0 ? (long)max_connections : DEFAULT_CONNECTIONS;
        int bad = 0;

        client->multi = curl_multi_init();
        if (client->multi == NULL)
                return -ENOMEM;
        bad |= (int)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
        bad |= (int)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
        bad |= (int)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
        bad |= (int)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
        bad |= (int)curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
        return bad != 0 ? -ENOMEM : 0;
}

static void client_release(struct http_client **client)
{
        http_client_free(*client);
}

int http_client_new(struct http_client **ret_client, struct ev_loop *loop, const struct http_client_options *options)
{
        if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
                return -ENOMEM;
        struct http_client *allocated = calloc(1, sizeof *allocated);
        if (allocated == NULL) {
                curl_global_cleanup();
                return -ENOMEM;
        }
        AUTO(client_release) struct http_client *client = allocated;
        client->loop = loop;
        list_init(&client->waiting);
        list_init(&client->active);
        list_init(&client->finished);
        list_init(&client->deferred_free);
        list_init(&client->resuming);
        ev_timer_init(&client->timeout, on_curl_timeout, 0.0, 0.0);
        client->timeout.data = client;
        ev_timer_init(&client->work, on_work, 0.0, 0.0);
        client->work.data = client;
        client->socket_path = strdup(options->socket_path);
        client->authority = strdup(options->authority);
        if (client->socket_path == NULL || client->authority == NULL)
                return -ENOMEM;
        int r = set_multi(client, options->max_connections);
        if (r < 0)
                return r;
        *ret_client = TAKE(client);
        return 0;
}
