#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon-options.h"
#include "daemon.h"
#include "log.h"
#include "netpolicy.h"
#include "scope.h"

static void on_policy_reloaded(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        struct daemon *daemon = arg;

        (void)link;
        log_event(daemon->log, why == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "policy_reloaded", "reason",
                  why == NULL ? NULL : why->message, NULL);
}

static void warn_of_restart(struct daemon *daemon, const struct config *next)
{
        for (const struct setting *setting = config_table(); setting->key != NULL; setting++) {
                AUTO(auto_free) char *old_value = settings_format(setting, &daemon->config);
                AUTO(auto_free) char *new_value = settings_format(setting, next);

                if (!config_is_reloadable(setting->key) && old_value != NULL && new_value != NULL &&
                    strcmp(old_value, new_value) != 0)
                        log_event(daemon->log, LOG_LEVEL_WARNING, "setting_needs_restart", "key", setting->key, NULL);
        }
}

/* Exchanges only the reloadable fields and the sections with those of `next` into the running settings: the others keep
 * the values in force. */
static void take_over(struct config *current, struct config *next)
{
        for (const struct setting *setting = config_table(); setting->key != NULL; setting++) {
                char *to = (char *)current + setting->offset;
                char *from = (char *)next + setting->offset;
                size_t size = setting->type == SETTING_CHOICE ? sizeof(int) : sizeof(uint64_t);
                char kept[sizeof(uint64_t)];

                _Static_assert(sizeof(char *) == sizeof(uint64_t) && sizeof(double) == sizeof(uint64_t),
                               "every field but a choice has 8 bytes");
                if (!config_is_reloadable(setting->key))
                        continue;
                memcpy(kept, to, size);
                memcpy(to, from, size);
                memcpy(from, kept, size);
        }
        for (const struct settings_kind *kind = config_kinds(); kind->kind != NULL; kind++) {
                struct settings_list *to = (void *)((char *)current + kind->offset);
                struct settings_list *from = (void *)((char *)next + kind->offset);
                struct settings_list kept = *to;

                *to = *from;
                *from = kept;
        }
        config_find_resolvers(current); /* the host's resolvers may have changed */
}

/* The settings that /v1/info shows. */
static int tell_settings(struct daemon *daemon, struct fault *why)
{
        AUTO(auto_free) char *settings = config_to_json(&daemon->config);
        AUTO(auto_free) char *sections = config_sections_to_json(&daemon->config);

        if (settings == NULL || sections == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        free(daemon->settings_json);
        free(daemon->sections_json);
        daemon->settings_json = TAKE(settings);
        daemon->sections_json = TAKE(sections);
        return 0;
}

int reload_settings(struct daemon *daemon, struct fault *why)
{
        AUTO(config_release) struct config next = { 0 };
        char path[DAEMON_PATH_BYTES];
        int r;

        r = config_load(&next, daemon->config_path, daemon->is_config_required, environ, NULL, why);
        if (r == 0)
                r = daemon_check(&next, NULL, why);
        if (r == 0)
                r = daemon_check_mounts(&next, why);
        if (r < 0)
                return r;
        warn_of_restart(daemon, &next);
        take_over(&daemon->config, &next);
        daemon_warn_of_resolvers(daemon);
        r = tell_settings(daemon, why);
        if (r < 0)
                return r;
        log_set(daemon->log, (enum log_level)daemon->config.log_level, (enum log_format)daemon->config.log_format);
        struct reaper_options reaper = daemon_reaper_options(&daemon->config);
        reaper_reconfigure(daemon->reaper, &reaper);
        struct jobs_options jobs = daemon_jobs_options(&daemon->config);
        jobs_reconfigure(daemon->jobs, &jobs);
        struct daemon_pool_room room;
        struct pool_options pool = daemon_pool_options(&daemon->config, &daemon->owner, &room);
        r = pool_reconfigure(daemon->pool, &pool, why);
        if (r == 0)
                r = daemon_start_attach(daemon, why);
        if (r < 0)
                return r;
        struct netpolicy_options network = daemon_netpolicy_options(&daemon->config, path);
        return netpolicy_apply(daemon->netpolicy, &network, on_policy_reloaded, daemon, NULL);
}
