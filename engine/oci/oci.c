#include "oci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base64.h"
#include "oci-engine.h"
#include "scope.h"
#include "seccomp-bpf.h"

/* ---- whether it can serve ---- */

static int compile_filter(struct oci *oci, struct fault *why)
{
        struct buffer bpf = { 0 };
        int r;

        if (oci->seccomp_bpf != NULL)
                return 0;
        r = seccomp_profile_bpf(&bpf);

        if (r == 0) {
                oci->seccomp_bpf = base64_encode(bpf.data, bpf.length);
                r = oci->seccomp_bpf != NULL ? 0 : -ENOMEM;
        }
        buffer_free(&bpf);
        return r < 0 ? fault_set(why, FAULT_ENGINE_UNAVAILABLE, -r, "cannot compile the system call filter: %s",
                                 strerrordesc_np(-r))
                     : 0;
}

/* Why carrels cannot have host ids of their own here, or NULL. error: the result of the try. */
static const char *find_userns_obstacle(const struct oci *oci, int *ret_error)
{
        *ret_error = 0;
        if (oci->runtime.has_machines)
                return "a runtime with a kernel of its own has ids of its own";
        if (!oci->runtime.is_crun)
                return "only crun has the idmapped mounts that are needed: apt-get install crun";
        *ret_error = oci_userns_try(oci->userns_base, oci->users_dir != NULL ? oci->users_dir : oci->state_dir);
        if (*ret_error == -EINVAL || *ret_error == -EOPNOTSUPP)
                return "the file system of users_dir cannot map owners (ext4, xfs, btrfs and tmpfs of Linux 6.3 can)";
        if (*ret_error < 0)
                return "new user namespaces are refused (sysctl user.max_user_namespaces, or a service unit's "
                       "RestrictNamespaces: see carreld-oci.conf), or the kernel is too old";
        return NULL;
}

static int settle_userns(struct oci *oci, enum oci_userns wanted, struct fault *why)
{
        int r = 0;
        const char *obstacle = wanted == OCI_USERNS_OFF ? "userns is off" : find_userns_obstacle(oci, &r);

        oci->has_userns = obstacle == NULL;
        /* The result is final: a temporary shortage must not make auto do without user namespaces for good. */
        if (oci_userns_is_shortage(r, oci_userns_most()))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, -r,
                                 "cannot make a user namespace now: %s; carreld tries again, or set userns = off to do "
                                 "without",
                                 strerrordesc_np(-r));
        (void)snprintf(oci->userns_detail, sizeof oci->userns_detail, "%s%s",
                       oci->has_userns ? "each carrel has host ids of its own" : "no user namespaces: ",
                       oci->has_userns ? "" : obstacle);
        if (oci->has_userns || wanted != OCI_USERNS_REQUIRE)
                return 0;
        return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP, "%s; or set userns = auto to do without", obstacle);
}

/* Once the engine can serve, the result is final: containers depend on it. Until then each list looks again, so that an
 * operator can install what is missing while carreld runs. */
static void look_around(struct oci *oci)
{
        struct fault *why = &oci->unavailable;

        if (oci->has_looked && why->kind == FAULT_NONE)
                return;
        oci->has_looked = true;
        *why = (struct fault){ 0 };
        if (oci_runtime_find(oci, why) == 0 && compile_filter(oci, why) == 0 && oci_mounts_prepare(oci, why) == 0 &&
            oci_mounts_try_root(oci, why) == 0)
                (void)settle_userns(oci, oci->userns, why);
        oci->makes_cgroups = oci->runtime.is_crun && oci_cgroup_is_v1();
}

/* ---- queries: from memory, and from the records for containers that other processes make ---- */

static void answer_inspect(struct oci_call *call)
{
        struct oci_container *container = oci_store_find(call->oci, call->name);

        if (container == NULL) /* it may be another pool's */
                container = oci_store_seek(call->oci, call->name);
        if (container != NULL)
                call->reply = (struct engine_reply){ .containers = &container->info, .n_containers = 1 };
        else
                (void)fault_set(&call->why, FAULT_NOT_FOUND, ENOENT, "there is no container %s", call->name);
        oci_call_answer_now(call);
}

static int oci_inspect(struct engine *engine, const char *id, engine_done done, void *arg,
                       struct engine_call **ret_call)
{
        struct oci_call *call;
        int r = oci_call_new(&call, (struct oci *)engine, "inspect a container", done, arg);

        if (r < 0)
                return r;
        if (snprintf(call->name, sizeof call->name, "%s", id) >= (int)sizeof call->name) {
                oci_call_free(call);
                return -EINVAL;
        }
        oci_call_later(call, answer_inspect, 0.0);
        *ret_call = &call->base;
        return 0;
}

static size_t collect(struct oci *oci, const char *label, const char *value, struct container_info *ret_infos)
{
        size_t n = 0;

        LIST_EACH (&oci->containers, at) {
                const struct oci_container *container = LIST_ENTRY(at, struct oci_container, node);
                const char *found = container_label(&container->info, label);

                if (found == NULL || strcmp(found, value) != 0)
                        continue;
                if (ret_infos != NULL)
                        ret_infos[n] = container->info;
                n++;
        }
        return n;
}

static void answer_list(struct oci_call *call)
{
        const struct label *wanted = &call->label;
        size_t n;

        look_around(call->oci);
        if (call->oci->unavailable.kind != FAULT_NONE) {
                call->why = call->oci->unavailable;
                oci_call_answer_now(call);
                return;
        }
        oci_call_enter(call);
        oci_store_look(call->oci); /* reports containers that are gone */
        if (!oci_call_leave(call))
                return;
        n = collect(call->oci, wanted->key, wanted->value, NULL);
        call->infos = calloc(n + 1, sizeof *call->infos);
        if (call->infos != NULL)
                call->reply = (struct engine_reply){
                        .containers = call->infos,
                        .n_containers = collect(call->oci, wanted->key, wanted->value, call->infos),
                };
        else
                (void)fault_set(&call->why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        oci_call_answer_now(call);
}

static void free_label(struct oci_call *call)
{
        free((char *)call->label.key);
        free((char *)call->label.value);
}

static int oci_list(struct engine *engine, const char *label, const char *value, engine_done done, void *arg,
                    struct engine_call **ret_call)
{
        struct oci_call *call;
        int r = oci_call_new(&call, (struct oci *)engine, "list containers", done, arg);

        if (r < 0)
                return r;
        call->label = (struct label){ strdup(label), strdup(value) };
        call->free_extra = free_label;
        if (call->label.key == NULL || call->label.value == NULL) {
                oci_call_free(call);
                return -ENOMEM;
        }
        oci_call_later(call, answer_list, 0.0);
        *ret_call = &call->base;
        return 0;
}

/* ---- watch ---- */

static void on_resync(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct oci *oci = timer->data;
        const struct engine_event event = { .kind = ENGINE_RESYNC, .id = "", .exec_id = "" };

        oci->on_event(oci->on_event_arg, &event);
}

/* There is no stream that could break: events come from carreld's own pidfds. */
static int oci_watch(struct engine *engine, const char *label, const char *value, engine_on_event on_event, void *arg)
{
        struct oci *oci = (struct oci *)engine;

        if (oci->on_event != NULL)
                return -EBUSY;
        oci->watched = (struct label){ strdup(label), strdup(value) };
        if (oci->watched.key == NULL || oci->watched.value == NULL)
                return -ENOMEM; /* freed with the engine */
        oci->on_event = on_event;
        oci->on_event_arg = arg;
        ev_timer_start(oci->loop, &oci->resync);
        return 0;
}

/* ---- the engine ---- */

static void oci_about(const struct engine *engine, struct engine_about *ret_about)
{
        const struct oci *oci = (const struct oci *)engine;
        struct engine_about about = {
                .kind = "oci",
                .is_available = oci->unavailable.kind == FAULT_NONE,
                .has_user_namespaces = oci->has_userns,
                .can_relabel = true,
        };

        (void)snprintf(about.version, sizeof about.version, "%.15s %.40s", oci->runtime.name, oci->runtime.version);
        if (oci->unavailable.kind != FAULT_NONE)
                (void)snprintf(about.detail, sizeof about.detail, "%s", oci->unavailable.message);
        else
                (void)snprintf(about.detail, sizeof about.detail, "%.160s%s", oci->userns_detail,
                               oci->runtime.has_machines ? "; each carrel has a kernel of its own, which is trusted "
                                                           "for what runs inside"
                                                         : "");
        *ret_about = about;
}

static struct engine *oci_free(struct engine *engine)
{
        struct oci *oci = (struct oci *)engine;

        if (oci == NULL)
                return NULL;
        while (!list_is_empty(&oci->calls))
                engine_cancel(&LIST_ENTRY(oci->calls.next, struct oci_call, node)->base);
        while (!list_is_empty(&oci->containers))
                oci_container_free(LIST_ENTRY(oci->containers.next, struct oci_container, node));
        ev_timer_stop(oci->loop, &oci->resync);
        child_cancel(oci->housekeeper);
        oci_mounts_release(oci);
        oci_runtime_release(&oci->runtime);
        image_store_free(oci->images);
        if (oci->state_fd >= 0)
                close(oci->state_fd);
        free((char *)oci->watched.key);
        free((char *)oci->watched.value);
        free(oci->seccomp_bpf);
        free(oci->runtime_args[0]);
        free(oci->runtime_wanted);
        free(oci->users_dir);
        free(oci->image_helper);
        free(oci->state_dir);
        free(oci);
        return NULL;
}

static const struct engine_ops OCI_OPS = {
        .kind = "oci",
        .free = oci_free,
        .about = oci_about,
        .claim = oci_claim,
        .create = oci_create,
        .start = oci_start,
        .inspect = oci_inspect,
        .list = oci_list,
        .remove = oci_remove,
        .pause = oci_pause,
        .exec = oci_exec,
        .exec_inspect = oci_exec_inspect,
        .image_inspect = oci_image_inspect,
        .image_list = oci_image_list,
        .image_load = oci_image_load,
        .image_remove = oci_image_remove,
        .image_build = oci_image_build,
        .watch = oci_watch,
};

/* ---- start-up ---- */

static int fill(struct oci *oci, const struct oci_options *options)
{
        int r = oci_runtime_split_args(oci, options->runtime_args != NULL ? options->runtime_args : "");

        if (r < 0)
                return r;
        oci->userns = options->userns;
        oci->userns_base = options->userns_base;
        oci->image_max_bytes = options->image_max_bytes;
        oci->image_max_entries = options->image_max_entries;
        oci->has_ipv6 = access("/proc/sys/net/ipv6/conf/all/disable_ipv6", F_OK) == 0;
        oci->state_dir = strdup(options->state_dir);
        oci->runtime_wanted = strdup(options->runtime != NULL ? options->runtime : "");
        oci->users_dir = options->users_dir != NULL ? strdup(options->users_dir) : NULL;
        oci->image_helper = strdup(options->image_helper != NULL ? options->image_helper : "");
        if (oci->state_dir == NULL || oci->runtime_wanted == NULL || oci->image_helper == NULL ||
            (options->users_dir != NULL && oci->users_dir == NULL))
                return -ENOMEM;
        return image_store_new(&oci->images, options->image_dir);
}

int oci_new(struct engine **ret_engine, struct ev_loop *loop, const struct oci_options *options, struct fault *why)
{
        struct oci *oci = calloc(1, sizeof *oci);
        int r;

        if (oci == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        oci->engine.ops = &OCI_OPS;
        oci->loop = loop;
        oci->state_fd = oci->mount_namespace_fd = oci->null_fd = oci->runtime.copy_fd = -1;
        list_init(&oci->containers);
        list_init(&oci->calls);
        ev_timer_init(&oci->resync, on_resync, 0.0, 0.0);
        oci->resync.data = oci;
        r = fill(oci, options);
        if (r == -E2BIG)
                (void)fault_set(why, FAULT_SETTING_INVALID, E2BIG, "runtime_args has more than %d words",
                                OCI_RUNTIME_ARGS_MAX);
        else if (r < 0)
                (void)fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "out of memory");
        if (r == 0)
                r = oci_store_open(oci, why);
        if (r < 0) {
                oci_free(&oci->engine);
                return r;
        }
        look_around(oci);
        oci_store_look(oci);
        oci_image_prepare(oci); /* after running containers hold their images */
        *ret_engine = &oci->engine;
        return 0;
}
