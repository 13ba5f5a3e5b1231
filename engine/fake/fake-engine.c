#include "fake-engine.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake-call.h"
#include "fake-store.h"
#include "list.h"
#include "scope.h"
#include "str.h"

struct plan {
        enum fake_behaviour behaviour;
        unsigned times; /* 0: for ever */
};

struct fake {
        struct engine base;
        struct ev_loop *loop;
        struct fake_store store;
        struct list calls;
        double latency_s;
        bool is_available;
        struct plan plans[FAKE_OPS];
        unsigned counts[FAKE_OPS];
};

static struct fake *fake_of(const struct engine *engine)
{
        return (struct fake *)engine;
}

/* ---- calls ---- */

static void call_free(struct fake_call *call)
{
        ev_timer_stop(call->fake->loop, &call->timer);
        list_remove(&call->node);
        fake_container_free(call->made);
        free(call->output);
        free(call->listed);
        free(call);
}

static void call_cancel(struct engine_call *base)
{
        struct fake_call *call = (struct fake_call *)base;

        call->done = NULL;
        call->exec_events = (struct exec_events){ 0 };
        if (call->behaviour == FAKE_HANG)
                call_free(call);
}

static int carry_out(struct fake_call *call, struct fault *why)
{
        int r;

        if (!call->fake->is_available || call->behaviour == FAKE_UNAVAILABLE)
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ECONNREFUSED, "the fake engine does not answer");
        if (call->behaviour == FAKE_REFUSE)
                return fault_set(why, FAULT_ENGINE_REFUSED, EIO, "the fake engine refuses");
        r = fake_call_carry_out(call, why);
        if (call->behaviour == FAKE_DO_AND_FAIL)
                return fault_set(why, FAULT_DEADLINE, ETIMEDOUT, "the fake engine's answer was lost");
        return r;
}

/* A cancel in one of the exec's callbacks is noticed before the next callback. */
static void tell_exec(struct fake_call *call)
{
        if (call->op != FAKE_EXEC)
                return;
        if (call->exec_events.on_started != NULL)
                call->exec_events.on_started(call->arg, call->exec_id);
        if (call->exec_events.on_output != NULL && call->output[0] != '\0')
                call->exec_events.on_output(call->arg, STDOUT_FILENO, call->output, strlen(call->output));
}

static void answer(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct fake_call *call = timer->data;
        struct fault why = { 0 };
        int r = carry_out(call, &why);

        if (r == 0)
                tell_exec(call);
        if (call->done != NULL)
                call->done(call->arg, r == 0 ? &call->reply : NULL, r == 0 ? NULL : &why);
        call_free(call);
}

static enum fake_behaviour next_behaviour(struct fake *fake, enum fake_op op)
{
        struct plan *plan = &fake->plans[op];
        enum fake_behaviour behaviour = plan->behaviour;

        if (plan->times > 0 && --plan->times == 0)
                plan->behaviour = FAKE_OK;
        return behaviour;
}

static struct fake_call *call_new(struct fake *fake, enum fake_op op, const char *target, engine_done done, void *arg)
{
        struct fake_call *call = calloc(1, sizeof *call);

        if (call == NULL)
                return NULL;
        call->base.cancel = call_cancel;
        call->fake = fake;
        call->store = &fake->store;
        call->op = op;
        call->done = done;
        call->arg = arg;
        (void)snprintf(call->target, sizeof call->target, "%s", target);
        list_append(&fake->calls, &call->node);
        ev_timer_init(&call->timer, answer, fake->latency_s, 0.0);
        call->timer.data = call;
        return call;
}

/* Takes call; NULL is out of memory. */
static int call_begin(struct fake_call *call, struct engine_call **ret_call)
{
        if (call == NULL)
                return -ENOMEM;
        call->fake->counts[call->op]++;
        call->behaviour = next_behaviour(call->fake, call->op);
        if (call->behaviour != FAKE_HANG)
                ev_timer_start(call->fake->loop, &call->timer);
        *ret_call = &call->base;
        return 0;
}

/* Takes call; made NULL is out of memory. */
static int begin_with_container(struct fake_call *call, struct fake_container *made, struct engine_call **ret_call)
{
        if (call == NULL || made == NULL) {
                fake_container_free(made);
                if (call != NULL)
                        call_free(call);
                return -ENOMEM;
        }
        call->made = made;
        return call_begin(call, ret_call);
}

static int fake_claim(struct engine *engine, const char *id, const char *name, const struct label *labels,
                      size_t n_labels, engine_done done, void *arg, struct engine_call **ret_call)
{
        return begin_with_container(call_new(fake_of(engine), FAKE_CLAIM, id, done, arg),
                                    fake_container_new(name, labels, n_labels), ret_call);
}

static int fake_create(struct engine *engine, const struct container_spec *spec, engine_done done, void *arg,
                       struct engine_call **ret_call)
{
        return begin_with_container(call_new(fake_of(engine), FAKE_CREATE, spec->image, done, arg),
                                    fake_container_new(spec->name, spec->labels, spec->n_labels), ret_call);
}

static int fake_start(struct engine *engine, const char *id, engine_done done, void *arg, struct engine_call **ret_call)
{
        return call_begin(call_new(fake_of(engine), FAKE_START, id, done, arg), ret_call);
}

static int fake_inspect(struct engine *engine, const char *id, engine_done done, void *arg,
                        struct engine_call **ret_call)
{
        return call_begin(call_new(fake_of(engine), FAKE_INSPECT, id, done, arg), ret_call);
}

static int fake_list(struct engine *engine, const char *label, const char *value, engine_done done, void *arg,
                     struct engine_call **ret_call)
{
        struct fake_call *call = call_new(fake_of(engine), FAKE_LIST, label, done, arg);

        if (call != NULL)
                (void)snprintf(call->text, sizeof call->text, "%s", value);
        return call_begin(call, ret_call);
}

static int fake_remove(struct engine *engine, const char *id, engine_done done, void *arg,
                       struct engine_call **ret_call)
{
        return call_begin(call_new(fake_of(engine), FAKE_REMOVE, id, done, arg), ret_call);
}

static int fake_pause(struct engine *engine, const char *id, bool is_paused, engine_done done, void *arg,
                      struct engine_call **ret_call)
{
        struct fake_call *call = call_new(fake_of(engine), FAKE_PAUSE, id, done, arg);

        if (call != NULL)
                call->is_pause = is_paused;
        return call_begin(call, ret_call);
}

static int fake_exec(struct engine *engine, const char *id, const struct exec_command *command,
                     const struct exec_events *events, engine_done done, void *arg, struct engine_call **ret_call)
{
        struct fake_call *call = call_new(fake_of(engine), FAKE_EXEC, id, done, arg);
        AUTO(buffer_free) struct buffer echo = { 0 };

        if (call == NULL)
                return -ENOMEM;
        for (size_t i = 0; command->argv[i] != NULL; i++)
                buffer_format(&echo, "%s%s", i > 0 ? " " : "", command->argv[i]);
        buffer_text(&echo, "\n");
        call->exec_events = *events;
        call->output = buffer_take(&echo);
        if (call->output != NULL)
                return call_begin(call, ret_call);
        call_free(call);
        return -ENOMEM;
}

static int fake_exec_inspect(struct engine *engine, const char *engine_exec_id, engine_done done, void *arg,
                             struct engine_call **ret_call)
{
        return call_begin(call_new(fake_of(engine), FAKE_EXEC_INSPECT, engine_exec_id, done, arg), ret_call);
}

static int fake_image_inspect(struct engine *engine, const char *reference, engine_done done, void *arg,
                              struct engine_call **ret_call)
{
        return call_begin(call_new(fake_of(engine), FAKE_IMAGE_INSPECT, reference, done, arg), ret_call);
}

static int fake_image_list(struct engine *engine, engine_done done, void *arg, struct engine_call **ret_call)
{
        return call_begin(call_new(fake_of(engine), FAKE_IMAGE_LIST, "", done, arg), ret_call);
}

static int fake_image_load(struct engine *engine, const struct image_source *source, engine_done done, void *arg,
                           struct engine_call **ret_call)
{
        return call_begin(call_new(fake_of(engine), FAKE_IMAGE_LOAD, source->reference, done, arg), ret_call);
}

static int fake_image_remove(struct engine *engine, const char *reference, engine_done done, void *arg,
                             struct engine_call **ret_call)
{
        return call_begin(call_new(fake_of(engine), FAKE_IMAGE_REMOVE, reference, done, arg), ret_call);
}

static int refuse_builds(struct engine *engine, int fd, const char *reference, engine_done done, void *arg,
                         struct engine_call **ret_call)
{
        return -ENOTSUP;
}

static int fake_watch(struct engine *engine, const char *label, const char *value, engine_on_event on_event, void *arg)
{
        struct fake_store *store = &fake_of(engine)->store;

        if (store->on_event != NULL)
                return -EBUSY;
        store->watch_label = strdup(label);
        store->watch_value = strdup(value);
        if (store->watch_label == NULL || store->watch_value == NULL)
                return -ENOMEM;
        store->on_event = on_event;
        store->on_event_arg = arg;
        fake_store_queue_event(store, ENGINE_RESYNC, "", "", 0);
        return 0;
}

static void fake_about(const struct engine *engine, struct engine_about *ret_about)
{
        *ret_about = (struct engine_about){ .kind = "fake", .version = "1", .api_version = "1" };
        ret_about->is_available = fake_of(engine)->is_available;
        ret_about->can_relabel = fake_of(engine)->store.can_relabel;
}

static struct engine *fake_free(struct engine *engine)
{
        struct fake *fake = fake_of(engine);

        LIST_EACH (&fake->calls, node)
                call_free(LIST_ENTRY(node, struct fake_call, node));
        fake_store_release(&fake->store);
        free(fake);
        return NULL;
}

static const struct engine_ops FAKE_ENGINE = {
        .kind = "fake",
        .free = fake_free,
        .about = fake_about,
        .claim = fake_claim,
        .create = fake_create,
        .start = fake_start,
        .inspect = fake_inspect,
        .list = fake_list,
        .remove = fake_remove,
        .pause = fake_pause,
        .exec = fake_exec,
        .exec_inspect = fake_exec_inspect,
        .image_inspect = fake_image_inspect,
        .image_list = fake_image_list,
        .image_load = fake_image_load,
        .image_remove = fake_image_remove,
        .image_build = refuse_builds,
        .watch = fake_watch,
};

int fake_new(struct engine **ret_engine, struct ev_loop *loop)
{
        struct fake *fake = calloc(1, sizeof *fake);

        if (fake == NULL)
                return -ENOMEM;
        fake->base.ops = &FAKE_ENGINE;
        fake->loop = loop;
        fake->is_available = true;
        list_init(&fake->calls);
        fake_store_init(&fake->store, loop);
        *ret_engine = &fake->base;
        return 0;
}

/* ---- for tests ---- */

void fake_set(struct engine *engine, enum fake_op op, enum fake_behaviour behaviour, unsigned times)
{
        fake_of(engine)->plans[op] = (struct plan){ behaviour, times };
}

void fake_set_available(struct engine *engine, bool is_available)
{
        struct fake *fake = fake_of(engine);

        if (fake->is_available == is_available)
                return;
        fake->is_available = is_available;
        fake_store_queue_event(&fake->store, is_available ? ENGINE_RESYNC : ENGINE_LOST, "", "", 0);
}

void fake_unwatch(struct engine *engine)
{
        fake_store_unwatch(&fake_of(engine)->store);
}

void fake_set_can_relabel(struct engine *engine, bool can_relabel)
{
        fake_of(engine)->store.can_relabel = can_relabel;
}

void fake_set_latency(struct engine *engine, double seconds)
{
        fake_of(engine)->latency_s = seconds;
}

unsigned fake_release(struct engine *engine, enum fake_op op)
{
        struct fake *fake = fake_of(engine);
        unsigned count = 0;

        LIST_EACH (&fake->calls, node) {
                struct fake_call *call = LIST_ENTRY(node, struct fake_call, node);

                if (call->op != op || call->behaviour != FAKE_HANG)
                        continue;
                call->behaviour = FAKE_OK;
                ev_timer_start(fake->loop, &call->timer);
                count++;
        }
        return count;
}

void fake_set_pid(struct engine *engine, int pid)
{
        fake_of(engine)->store.next_pid = pid;
}

unsigned fake_calls(const struct engine *engine, enum fake_op op)
{
        return fake_of(engine)->counts[op];
}

size_t fake_containers(const struct engine *engine)
{
        return HASH_CNT(by_id, fake_of(engine)->store.ids);
}

int fake_plant(struct engine *engine, const struct container_info *info)
{
        struct fake_container *made = fake_container_new(info->name, info->labels, info->n_labels);
        struct label *labels;

        if (made == NULL)
                return -ENOMEM;
        labels = made->info.labels;
        made->info = *info;
        made->info.labels = labels;
        if (fake_store_insert(&fake_of(engine)->store, made) == 0)
                return 0;
        fake_container_free(made);
        return -ENOMEM;
}

void fake_kill(struct engine *engine, const char *name, bool is_silent)
{
        struct fake_container *container = fake_store_find(&fake_of(engine)->store, name);

        if (container != NULL)
                fake_store_kill(&fake_of(engine)->store, container, is_silent);
}

void fake_vanish(struct engine *engine, const char *name, bool is_silent)
{
        struct fake_container *container = fake_store_find(&fake_of(engine)->store, name);

        if (container != NULL)
                fake_store_remove(&fake_of(engine)->store, container, is_silent);
}

const struct container_info *fake_find(const struct engine *engine, const char *name)
{
        const struct fake_container *container = fake_store_find(&fake_of(engine)->store, name);

        return container != NULL ? &container->info : NULL;
}
