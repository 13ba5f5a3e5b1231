#include "disk.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk-protocol.h"
#include "helper.h"
#include "list.h"
#include "scope.h"

/* A new image is allocated and formatted, and an old one may have a journal to replay. */
#define CALL_DEADLINE_S 30.0

struct disk {
        struct helper *helper;
        struct list calls;
        char obstacle[256];
};

struct disk_call {
        struct list node;
        struct disk *disk;
        struct helper_call *request;
        disk_done done;
        void *arg;
};

/* ---- the helper ---- */

static void set_obstacle(struct disk *disk, const char *text)
{
        (void)snprintf(disk->obstacle, sizeof disk->obstacle, "%.255s", text);
}

static void on_message(void *arg, const void *message)
{
        const struct disk_answer *report = message;

        if (report->head.verb == DISK_REPORT)
                set_obstacle(arg, report->message);
}

static void on_up(void *arg)
{
        set_obstacle(arg, "carrel-diskd has not reported yet");
}

static void on_down(void *arg)
{
        set_obstacle(arg, "carrel-diskd has ended and is being restarted");
}

static int check_answer(const void *message, size_t length)
{
        return disk_check_answer(message, length);
}

static const struct helper_kind DISKD = {
        .name = "carrel-diskd",
        .magic = DISK_MAGIC,
        .version = DISK_VERSION,
        .restart_least_s = 0.1,
        .restart_most_s = 4.0,
        .check = check_answer,
        .sends_fds = true,
};
static const struct helper_events EVENTS = { .on_up = on_up, .on_down = on_down, .on_message = on_message };

int disk_new(struct disk **ret_disk, struct ev_loop *loop, const char *helper_path, struct fault *why)
{
        struct disk *disk = calloc(1, sizeof *disk);
        int r = -ENOMEM;

        if (disk != NULL) {
                list_init(&disk->calls);
                on_up(disk);
                r = helper_new(&disk->helper, loop, &DISKD, helper_path, &EVENTS, disk);
        }
        if (r < 0) {
                (void)disk_free(disk);
                return fault_set(why, r == -ENOMEM ? FAULT_RESOURCE_EXHAUSTED : FAULT_INTERNAL, -r,
                                 "cannot start %s: %s", helper_path, strerror(-r));
        }
        *ret_disk = disk;
        return 0;
}

static void call_free(struct disk_call *call)
{
        list_remove(&call->node);
        free(call);
}

struct disk *disk_free(struct disk *disk)
{
        if (disk == NULL)
                return NULL;
        LIST_EACH (&disk->calls, node) {
                call_free(LIST_ENTRY(node, struct disk_call, node));
        }
        (void)helper_free(disk->helper);
        free(disk);
        return NULL;
}

const char *disk_obstacle(const struct disk *disk)
{
        return disk->obstacle;
}

/* ---- calls ---- */

static void explain_silence(int err, struct fault *why)
{
        if (err == ETIMEDOUT)
                (void)fault_set(why, FAULT_DEADLINE, err, "carrel-diskd did not answer in %.0f s", CALL_DEADLINE_S);
        else
                (void)fault_set(why, FAULT_RESOURCE_EXHAUSTED, err,
                                "carrel-diskd takes no requests: it is being restarted");
}

/* done comes last: it may free everything. */
static void on_answer(void *arg, const void *message, int err)
{
        struct disk_call *call = arg;
        const struct disk_answer *answer = message;
        disk_done done = call->done;
        void *done_arg = call->arg;
        struct fault why = { 0 };
        int mount_fd = -1;

        if (answer == NULL)
                explain_silence(err, &why);
        else if (answer->kind != FAULT_NONE)
                (void)fault_set(&why, (enum fault_kind)answer->kind, (int)answer->err, "%s", answer->message);
        else
                mount_fd = helper_take_fd(call->disk->helper);
        if (why.kind == FAULT_NONE && mount_fd < 0)
                (void)fault_set(&why, FAULT_INTERNAL, EPROTO, "carrel-diskd answered without a mount");
        call_free(call);
        done(done_arg, mount_fd, why.kind != FAULT_NONE ? &why : NULL);
}

int disk_mount(struct disk *disk, const struct disk_request *request, disk_done done, void *arg,
               struct disk_call **ret_call)
{
        struct disk_order order = {
                .head.verb = DISK_MOUNT,
                .owner_uid = request->owner_uid,
                .owner_gid = request->owner_gid,
                .size_bytes = request->size_bytes,
                .files = request->files,
        };
        AUTO(auto_free) struct disk_call *call = calloc(1, sizeof *call);
        int r;

        if (call == NULL)
                return -ENOMEM;
        if (request->users_fd < 0 || strlen(request->user) >= sizeof order.user)
                return -EINVAL;
        (void)snprintf(order.user, sizeof order.user, "%s", request->user);
        *call = (struct disk_call){ .disk = disk, .done = done, .arg = arg };
        r = helper_call_fds(disk->helper, &order.head, sizeof order, &request->users_fd, 1, CALL_DEADLINE_S, on_answer,
                            call, &call->request);
        if (r < 0)
                return r;
        list_append(&disk->calls, &call->node);
        if (ret_call != NULL)
                *ret_call = call;
        (void)TAKE(call);
        return 0;
}

struct disk_call *disk_cancel(struct disk_call *call)
{
        if (call == NULL)
                return NULL;
        (void)helper_cancel(call->request);
        call_free(call);
        return NULL;
}

/* ---- looking ---- */

enum { IMAGE_PATH_BYTES = sizeof DISK_DIRECTORY + DISK_USER_BYTES + sizeof "/.ext4" };

static void name_image(const char *user, char ret_path[static IMAGE_PATH_BYTES])
{
        (void)snprintf(ret_path, IMAGE_PATH_BYTES, DISK_DIRECTORY "/%s.ext4", user);
}

int disk_remove_image(int users_fd, const char *user)
{
        char path[IMAGE_PATH_BYTES];

        name_image(user, path);
        return unlinkat(users_fd, path, 0) < 0 ? -errno : 0;
}

int disk_stat_image(int users_fd, const char *user, struct stat *ret_status)
{
        char path[IMAGE_PATH_BYTES];
        struct stat status;

        name_image(user, path);
        if (fstatat(users_fd, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode))
                return -EINVAL;
        *ret_status = status;
        return 0;
}
