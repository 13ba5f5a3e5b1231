#include "template.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent-listener.h"
#include "inside.h"
#include "profile.h"
#include "scope.h"
#include "spec.h"
#include "str.h"

/* The resolver of a carrel without one: nothing listens there. Without it the engine would choose the host's resolver,
 * and its embedded resolver would query that from the host's namespace, past every rule (docs/threats.md). */
#define NO_RESOLVER "127.0.0.1"

static bool is_address(const char *text)
{
        unsigned char bytes[sizeof(struct in6_addr)];

        return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* Splits text at its commas. Returns 0, or -EINVAL if it is not a list of addresses. */
static int split_dns(char *text, const char *ret_dns[static TEMPLATE_DNS_MAX + 1])
{
        size_t count = 0;

        for (char *rest = text; rest != NULL && rest[0] != '\0';) {
                char *address = strsep(&rest, ",");

                address += strspn(address, " ");
                address[strcspn(address, " ")] = '\0';
                if (count == TEMPLATE_DNS_MAX || !is_address(address))
                        return -EINVAL;
                ret_dns[count++] = address;
        }
        if (count == 0)
                ret_dns[count++] = NO_RESOLVER;
        ret_dns[count] = NULL;
        return 0;
}

int template_check_dns(const char *dns, struct fault *why)
{
        char text[TEMPLATE_DNS_BYTES];
        const char *addresses[TEMPLATE_DNS_MAX + 1];

        if (str_copy(text, sizeof text, dns) == 0 && split_dns(text, addresses) == 0)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "dns: at most %d IP addresses, separated by commas",
                         TEMPLATE_DNS_MAX);
}

int template_resolv_conf(struct buffer *buffer, const char *dns)
{
        char text[TEMPLATE_DNS_BYTES];
        const char *addresses[TEMPLATE_DNS_MAX + 1];

        if (str_copy(text, sizeof text, dns) < 0 || split_dns(text, addresses) < 0)
                return -EINVAL;
        return profile_resolv_conf(buffer, addresses);
}

static void fill_mounts(struct template *t, const struct pool_options *options, const struct host_mounts *mounts,
                        bool has_lxcfs, const char *user)
{
        (void)snprintf(t->tmpfs_options, sizeof t->tmpfs_options, PROFILE_TMP_OPTIONS, options->tmp_bytes);
        t->tmpfs[0] = (struct tmpfs_mount){ INSIDE_TMP, t->tmpfs_options, profile_inodes(options->tmp_bytes) };
        t->binds[0] = (struct bind_mount){ options->init_path, INSIDE_INIT, .is_read_only = true };
        t->binds[1] = (struct bind_mount){ t->workspace, INSIDE_WORKSPACE, .is_read_only = user == NULL };
        t->spec.tmpfs = t->tmpfs;
        t->spec.n_tmpfs = TEMPLATE_TMPFS;
        t->spec.binds = t->binds;
        t->spec.n_binds = 2;
        for (size_t i = 0; mounts != NULL && i < mounts->n; i++)
                t->binds[t->spec.n_binds++] = (struct bind_mount){ mounts->at[i].source, mounts->at[i].target,
                                                                   mounts->at[i].is_read_only, .is_recursive = true };
        for (const struct profile_file *file = PROFILE.lxcfs; has_lxcfs && file->source != NULL; file++)
                t->binds[t->spec.n_binds++] = (struct bind_mount){ file->source, file->target, .is_read_only = true };
        if (t->agent_directory == NULL)
                return;
        t->binds[t->spec.n_binds++] = (struct bind_mount){ t->agent_directory, INSIDE_AGENT, .is_read_only = true };
        t->binds[t->spec.n_binds++] = (struct bind_mount){ t->passwd, "/etc/passwd", .is_read_only = true };
        t->binds[t->spec.n_binds++] = (struct bind_mount){ t->group, "/etc/group", .is_read_only = true };
        t->binds[t->spec.n_binds++] = (struct bind_mount){ t->resolvers, "/etc/resolv.conf", .is_read_only = true };
}

/* The environment is the image's: what a program needs to know of its user comes with each exec (carrel-execs.c). */
static void fill_process(struct template *t, const struct pool_owner *owner, const struct pool_owner *inside)
{
        t->argv[0] = INSIDE_INIT;
        t->spec.argv = t->argv;
        t->spec.working_dir = INSIDE_WORKSPACE;
        t->spec.hostname =
                "carrel"; /* not the user id: it may be longer than a host name, and programs need not see it */
        t->spec.uid = inside->uid;
        t->spec.gid = inside->gid;
        t->spec.owner_uid = owner->uid;
        t->spec.owner_gid = owner->gid;
}

static void fill_limits(struct template *t, const struct pool_options *options, const struct carrel_spec *spec)
{
        t->spec.memory_bytes = spec->memory_bytes;
        t->spec.cpu_millis = spec->cpu_millis;
        t->spec.pids = spec->pids;
        t->spec.nofile = options->nofile;
        t->spec.shm_bytes = options->shm_bytes;
        t->spec.runtime = options->runtime;
        t->spec.cgroup_parent = options->cgroup_parent;
}

static void fill_labels(struct template *t, const char *pool, const char *user, const char *slot, const char *hash,
                        uint64_t generation)
{
        (void)snprintf(t->generation, sizeof t->generation, "%" PRIu64, generation);
        t->labels[0] = (struct label){ LABEL_PRODUCT, PRODUCT };
        t->labels[1] = (struct label){ LABEL_POOL, pool };
        t->labels[2] = (struct label){ LABEL_SPEC_HASH, hash };
        t->labels[3] = (struct label){ LABEL_SPEC, t->spec_json };
        t->labels[4] = (struct label){ LABEL_GENERATION, t->generation };
        t->labels[5] = (struct label){ LABEL_SLOT, slot };
        t->labels[6] = (struct label){ LABEL_USER, user };
        t->spec.labels = t->labels;
        t->spec.n_labels = user != NULL ? TEMPLATE_LABELS : TEMPLATE_LABELS - 1;
}

/* asprintf(3) leaves its result undefined on failure. */
static int name_path(char **ret_path, const char *directory, const char *name)
{
        if (asprintf(ret_path, "%s/%s", directory, name) >= 0)
                return 0;
        *ret_path = NULL;
        return -ENOMEM;
}

static int name_agent_directory(struct template *t, const struct pool_options *options, const char *slot)
{
        if (asprintf(&t->agent_directory, "%s/agents/%s/%s", options->runtime_dir, options->pool, slot) < 0) {
                t->agent_directory = NULL;
                return -ENOMEM;
        }
        if (name_path(&t->passwd, t->agent_directory, TEMPLATE_PASSWD) < 0 ||
            name_path(&t->group, t->agent_directory, TEMPLATE_GROUP) < 0)
                return -ENOMEM;
        return name_path(&t->resolvers, t->agent_directory, TEMPLATE_RESOLVERS);
}

int template_fill(struct template *ret_template, const struct pool_options *options, const struct host_mounts *mounts,
                  bool has_lxcfs, const struct pool_owner *owner, const struct pool_owner *inside, const char *user,
                  const char *name, const char *slot, const struct carrel_spec *spec, const char *hash,
                  uint64_t generation, struct fault *why)
{
        struct template *t = ret_template;

        *t = (struct template){ .spec_json = spec_encode(spec) };
        if (t->spec_json == NULL ||
            asprintf(&t->workspace, "%s/%s", user != NULL ? options->users_dir : options->runtime_dir,
                     user != NULL ? user : TEMPLATE_VACANT) < 0) {
                t->workspace = NULL; /* asprintf leaves it undefined on failure */
                template_release(t);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        if (str_copy(t->dns_text, sizeof t->dns_text, options->dns) < 0 || split_dns(t->dns_text, t->dns) < 0) {
                template_release(t);
                return template_check_dns(options->dns, why);
        }
        if (options->agent != POOL_AGENT_NONE && name_agent_directory(t, options, slot) < 0) {
                template_release(t);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        t->spec.name = name;
        t->spec.image = spec->image;
        t->spec.dns = t->dns;
        fill_mounts(t, options, mounts, has_lxcfs, user);
        fill_process(t, owner, inside);
        fill_limits(t, options, spec);
        fill_labels(t, options->pool, user, slot, hash, generation);
        return 0;
}

int template_vacate(struct template *template, const struct pool_options *options, struct fault *why)
{
        free(TAKE(template->workspace));
        if (name_path(&template->workspace, options->runtime_dir, TEMPLATE_VACANT) < 0) {
                template_release(template);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        template->binds[1] = (struct bind_mount){ template->workspace, INSIDE_WORKSPACE, .is_read_only = true };
        return 0;
}

void template_release(struct template *template)
{
        free(template->workspace);
        free(template->spec_json);
        free(template->agent_directory);
        free(template->passwd);
        free(template->group);
        free(template->resolvers);
        template->workspace = template->spec_json = template->agent_directory = NULL;
        template->passwd = template->group = template->resolvers = NULL;
}

static bool label_is(const struct container_info *info, const char *key, const char *value)
{
        const char *found = container_label(info, key);

        return found != NULL && strcmp(found, value) == 0;
}

const char *template_user(const struct container_info *info, const char *prefix)
{
        const char *user = container_label(info, LABEL_USER);

        if (user == NULL && str_has_prefix(info->name, prefix))
                user = info->name + strlen(prefix);
        return user;
}

bool template_is_ours(const struct container_info *info, const struct pool_options *options, const char *user)
{
        const char *found = template_user(info, options->prefix);

        return label_is(info, LABEL_PRODUCT, PRODUCT) && label_is(info, LABEL_POOL, options->pool) &&
               (user == NULL || (found != NULL && strcmp(found, user) == 0));
}

uint64_t template_generation(const struct container_info *info)
{
        const char *text = container_label(info, LABEL_GENERATION);
        uint64_t generation = 0;

        if (text == NULL || str_parse_u64(text, 1, UINT64_MAX, &generation) < 0)
                return 0;
        return generation;
}
