#include "fake-call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "str.h"

static int no_such(const char *what, struct fault *why)
{
        return fault_set(why, FAULT_NOT_FOUND, ENOENT, "No such container: %s", what);
}

static void swap_labels(struct container_info *a, struct container_info *b)
{
        struct label *labels = a->labels;
        size_t n_labels = a->n_labels;

        a->labels = b->labels;
        a->n_labels = b->n_labels;
        b->labels = labels;
        b->n_labels = n_labels;
}

static int do_claim(struct fake_call *call, struct fault *why)
{
        struct fake_container *container = fake_store_find(call->store, call->target);
        struct fake_container *claimed = call->made;
        const struct fake_container *holder = fake_store_find(call->store, claimed->info.name);

        if (container == NULL)
                return no_such(call->target, why);
        if (holder != NULL && holder != container)
                return fault_set(why, FAULT_NAME_TAKEN, EEXIST, "Conflict. The name %s is in use", claimed->info.name);
        if (fake_store_rename(call->store, container, claimed) < 0)
                return fault_set(why, FAULT_ENGINE_REFUSED, ENOMEM, "out of memory");
        if (call->store->can_relabel)
                swap_labels(&container->info, &claimed->info);
        return 0;
}

static int do_create(struct fake_call *call, struct fault *why)
{
        struct fake_container *made = call->made;

        if (str_has_prefix(call->target, FAKE_MISSING_IMAGE))
                return fault_set(why, FAULT_IMAGE_MISSING, ENOENT, "No such image: %s", call->target);
        if (fake_store_find(call->store, made->info.name) != NULL)
                return fault_set(why, FAULT_NAME_TAKEN, EEXIST, "Conflict. The name %s is in use", made->info.name);
        if (fake_store_insert(call->store, made) < 0)
                return fault_set(why, FAULT_ENGINE_REFUSED, ENOMEM, "out of memory");
        call->made = NULL;
        call->reply.id = made->info.id;
        return 0;
}

static int do_start(struct fake_call *call, struct fault *why)
{
        struct fake_container *container = fake_store_find(call->store, call->target);

        if (container == NULL)
                return no_such(call->target, why);
        container->info.status = CONTAINER_RUNNING;
        container->info.pid = call->store->next_pid;
        container->info.started_wall_ms = clock_wall_ms();
        fake_store_tell(call->store, container, ENGINE_CONTAINER_STARTED);
        return 0;
}

static int do_inspect(struct fake_call *call, struct fault *why)
{
        const struct fake_container *container = fake_store_find(call->store, call->target);

        if (container == NULL)
                return no_such(call->target, why);
        call->reply.containers = &container->info;
        call->reply.n_containers = 1;
        return 0;
}

static int do_list(struct fake_call *call, struct fault *why)
{
        struct fake_container *container;
        struct fake_container *next;
        size_t count = 0;

        call->listed = calloc(HASH_CNT(by_id, call->store->ids) + 1, sizeof *call->listed);
        if (call->listed == NULL)
                return fault_set(why, FAULT_ENGINE_REFUSED, ENOMEM, "out of memory");
        HASH_ITER(by_id, call->store->ids, container, next)
        {
                if (!fake_has_label(&container->info, call->target, call->text))
                        continue;
                call->listed[count] = container->info;
                call->listed[count++].pid = 0; /* a list of Docker's has none either */
        }
        call->reply.containers = call->listed;
        call->reply.n_containers = count;
        return 0;
}

static int do_remove(struct fake_call *call, struct fault *why)
{
        struct fake_container *container = fake_store_find(call->store, call->target);

        if (container != NULL)
                fake_store_remove(call->store, container, false);
        return 0;
}

static int do_pause(struct fake_call *call, struct fault *why)
{
        struct fake_container *container = fake_store_find(call->store, call->target);

        if (container == NULL)
                return no_such(call->target, why);
        container->info.status = call->is_pause ? CONTAINER_PAUSED : CONTAINER_RUNNING;
        return 0;
}

static int do_exec(struct fake_call *call, struct fault *why)
{
        const struct fake_container *container = fake_store_find(call->store, call->target);

        if (container == NULL)
                return no_such(call->target, why);
        if (container->info.status != CONTAINER_RUNNING)
                return fault_set(why, FAULT_ENGINE_REFUSED, EBUSY, "Container %s is not running", call->target);
        (void)snprintf(call->exec_id, sizeof call->exec_id, "exec%064llx", (unsigned long long)++call->store->last_id);
        call->reply.exec = &call->exec;
        fake_store_queue_event(call->store, ENGINE_EXEC_DIED, container->info.id, call->exec_id, 0);
        return 0;
}

static int do_exec_inspect(struct fake_call *call, struct fault *why)
{
        if (!str_has_prefix(call->target, "exec"))
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "No such exec instance: %s", call->target);
        call->reply.exec = &call->exec;
        return 0;
}

static int do_image_inspect(struct fake_call *call, struct fault *why)
{
        if (str_has_prefix(call->target, FAKE_MISSING_IMAGE))
                return fault_set(why, FAULT_IMAGE_MISSING, ENOENT, "No such image: %s", call->target);
        (void)snprintf(call->image.id, sizeof call->image.id, "sha256:%064d", 1);
        (void)snprintf(call->image.reference, sizeof call->image.reference, "%s", call->target);
        call->reply.image = &call->image;
        return 0;
}

static int do_image_list(struct fake_call *call, struct fault *why)
{
        (void)snprintf(call->target, sizeof call->target, "carrel-sandbox:latest");
        if (do_image_inspect(call, why) < 0)
                return -ENOENT;
        call->reply.images = &call->image;
        call->reply.n_images = 1;
        return 0;
}

static int do_image_remove(struct fake_call *call, struct fault *why)
{
        return do_image_inspect(call, why);
}

static int (*const EFFECTS[FAKE_OPS])(struct fake_call *call, struct fault *why) = {
        [FAKE_CLAIM] = do_claim,
        [FAKE_CREATE] = do_create,
        [FAKE_START] = do_start,
        [FAKE_INSPECT] = do_inspect,
        [FAKE_LIST] = do_list,
        [FAKE_REMOVE] = do_remove,
        [FAKE_PAUSE] = do_pause,
        [FAKE_EXEC] = do_exec,
        [FAKE_EXEC_INSPECT] = do_exec_inspect,
        [FAKE_IMAGE_INSPECT] = do_image_inspect,
        [FAKE_IMAGE_LIST] = do_image_list,
        [FAKE_IMAGE_LOAD] = do_image_inspect,
        [FAKE_IMAGE_REMOVE] = do_image_remove,
};

int fake_call_carry_out(struct fake_call *call, struct fault *why)
{
        return EFFECTS[call->op](call, why);
}
