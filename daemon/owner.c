#include "owner.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "scope.h"
#include "str.h"

#define LOGIN_DEFS "/etc/login.defs"

enum { LINE_BYTES = 256 };

/* -1 and -2 have a special meaning in system calls. */
#define ID_LARGEST 4294967293U

static bool is_number(const char *text, uint32_t *ret_id)
{
        uint64_t number;

        if (str_parse_u64(text, 0, ID_LARGEST, &number) < 0)
                return false;
        *ret_id = (uint32_t)number;
        return true;
}

/* Debian's defaults, for a file without these keys. */
static struct owner_people read_people(void)
{
        struct owner_people people = { 1000, 60000 };
        AUTO(auto_fclose) FILE *file = fopen(LOGIN_DEFS, "re");
        char line[LINE_BYTES];

        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
                uint32_t id;

                if (sscanf(line, " UID_MIN %10" SCNu32, &id) == 1)
                        people.min = id;
                else if (sscanf(line, " UID_MAX %10" SCNu32, &id) == 1)
                        people.max = id;
        }
        return people;
}

bool owner_is_person(const struct passwd *account, const struct owner_people *people)
{
        static const char *const REFUSING[] = { "nologin", "false" };
        const char *slash = strrchr(account->pw_shell, '/');
        const char *shell = slash != NULL ? slash + 1 : account->pw_shell;

        if (account->pw_uid >= people->min && account->pw_uid <= people->max)
                return true;
        for (size_t i = 0; i < sizeof REFUSING / sizeof *REFUSING; i++)
                if (strcmp(shell, REFUSING[i]) == 0)
                        return false;
        return true; /* an empty one is /bin/sh, passwd(5) */
}

static int find_account(const struct config *config, struct pool_owner *owner, struct fault *why)
{
        bool has_number = is_number(config->uid, &owner->uid);
        const struct passwd *account;

        errno = 0;
        account = has_number ? getpwuid(owner->uid) : getpwnam(config->uid);
        /* getpwnam(3): ENOENT and ESRCH also mean that it does not exist. */
        if (account == NULL && errno != 0 && errno != ENOENT && errno != ESRCH)
                return fault_set(why, FAULT_SETTING_INVALID, errno, "uid: the accounts cannot be read: %s",
                                 strerrordesc_np(errno));
        if (account == NULL && !has_number)
                return fault_set(why, FAULT_SETTING_INVALID, ENOENT,
                                 "uid: there is no account \"%s\": run systemd-sysusers, which creates carrel-user "
                                 "from sysusers.d/carrel.conf, or set uid to an unused number",
                                 config->uid);
        if (account == NULL) {
                owner->gid = owner->uid;
                return 0;
        }
        if (config->uid_is_shared != CONFIG_YES) {
                const struct owner_people people = read_people();

                if (owner_is_person(account, &people))
                        return fault_set(why, FAULT_SETTING_INVALID, EPERM,
                                         "uid: %s (%" PRIu32
                                         ") is an account with a login, whose owner would own every user's files: omit "
                                         "uid (carrel-user), or set uid_is_shared = yes",
                                         account->pw_name, (uint32_t)account->pw_uid);
        }
        *owner = (struct pool_owner){ account->pw_uid, account->pw_gid };
        return 0;
}

static int find_group(const struct config *config, struct pool_owner *owner, struct fault *why)
{
        const struct group *group;

        if (config->gid[0] == '\0' || is_number(config->gid, &owner->gid))
                return 0;
        group = getgrnam(config->gid);
        if (group == NULL)
                return fault_set(why, FAULT_SETTING_INVALID, ENOENT,
                                 "gid: there is no group \"%s\": create it, or leave gid empty", config->gid);
        owner->gid = group->gr_gid;
        return 0;
}

int owner_find(const struct config *config, struct pool_owner *ret_owner, struct fault *why)
{
        struct pool_owner owner = { 0 };
        int r = find_account(config, &owner, why);

        if (r == 0)
                r = find_group(config, &owner, why);
        if (r < 0)
                return r;
        if (owner.uid == 0 || owner.gid == 0)
                return fault_set(why, FAULT_SETTING_INVALID, EPERM, "%s: root must not own the users' files",
                                 owner.uid == 0 ? "uid" : "gid");
        if (owner.uid >= config->userns_base || owner.gid >= config->userns_base)
                return fault_set(why, FAULT_SETTING_INVALID, ERANGE,
                                 "%s is one of the carrels' ids, which begin at userns_base: use a lower one",
                                 owner.uid >= config->userns_base ? "uid" : "gid");
        *ret_owner = owner;
        return 0;
}
