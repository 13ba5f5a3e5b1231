/* The targets that a carrel can reach, through carreld and a real engine, with the internet in two namespaces. Each
 * denied target has its positive control: the host, to which no rule applies, reaches it at the same time. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outside.h"
#include "suite.h"

/* Of the operator: a database network, and a pinhole into a private one. */
#define OPERATORS "9.8.7.0/24"
#define PINHOLE "10.1.2.3"
#define HEAL_S 2.0 /* promised, see TIMED_TRIES */

/* The host's resolvers, which dns = auto finds: private ones, at a port of which nothing else is open. */
#define RESOLVER "10.53.53.53"
#define LATER_RESOLVER "172.20.0.53"
#define RESOLV_CONF "/run/testbed/resolv.conf"

static struct outside *outside;

static const char *const DENIED[] = {
        "169.254.169.254", "10.0.0.1",  "10.1.2.4",    "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1",
        "192.0.0.1",       "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1",   "203.0.113.1", "9.8.7.6",
};
enum { N_DENIED = sizeof DENIED / sizeof *DENIED };

#define BRIDGE "172.17.0.1"

/* Docker's own bridge, or one like it. */
static void add_bridge(void)
{
        static struct output output;

        RUN(&output, "ip", "-oneline", "address", "show", "to", BRIDGE "/32");
        if (output.text[0] != '\0')
                return;
        MUST_RUN("ip", "link", "add", "bridge0", "type", "bridge");
        MUST_RUN("ip", "address", "add", BRIDGE "/16", "dev", "bridge0");
        MUST_RUN("ip", "link", "set", "bridge0", "up");
}

static void write_resolver(const char *address)
{
        FILE *file = fopen(RESOLV_CONF, "we");

        assert_non_null(file);
        fprintf(file, "search host.example\nnameserver %s\n", address);
        assert_int_equal(fclose(file), 0);
}

static void set_up(void)
{
        char address[32];

        write_resolver(RESOLVER);
        MUST_RUN("mount", "--bind", RESOLV_CONF, "/etc/resolv.conf");
        add_bridge();
        outside = outside_new();
        for (size_t i = 0; i < N_DENIED; i++) {
                snprintf(address, sizeof address, "%s/32", DENIED[i]);
                outside_add(outside, address);
        }
        outside_add(outside, PINHOLE "/32");
        outside_add(outside, RESOLVER "/32");
        outside_add(outside, LATER_RESOLVER "/32");
        SUITE_START("CARREL_DENY=" OPERATORS, "CARREL_ALLOW=" PINHOLE "/32:7777");
        carreld_must_ensure("ada");
}

static void tear_down(void)
{
        suite_end();
        outside = outside_free(outside);
}

/* ---- probes ---- */

static bool is_reached_within(const char *user, const char *address, int patience_s)
{
        struct answer answer;
        char script[128];
        bool is_reached;

        snprintf(script, sizeof script, "nc -w %d %s %d </dev/null", patience_s, address, OUTSIDE_PORT);
        answer = carreld_exec(user, script, PATIENCE_S);
        assert_int_equal(answer.status, 200);
        is_reached = strstr(answer_text(&answer, "stdout"), OUTSIDE_GREETING) != NULL;
        answer_release(&answer);
        return is_reached;
}

/* An open target answers at once, or later on a busy machine. A dropped one never answers. */
static bool does_carrel_reach(const char *user, const char *address)
{
        return is_reached_within(user, address, 20);
}

static bool is_carrel_denied(const char *user, const char *address)
{
        return !is_reached_within(user, address, 1);
}

static bool does_host_reach(const char *address)
{
        static struct output output;

        RUN(&output, "busybox", "nc", "-w", "2", address, "7777");
        return strstr(output.text, OUTSIDE_GREETING) != NULL;
}

static bool is_there(void *address)
{
        return does_host_reach(address);
}

static bool has_risen(void *arg)
{
        return carreld_metric("carrel_dropped_packets_total") > *(double *)arg;
}

static void expect_denied(const char *address)
{
        double dropped = carreld_metric("carrel_dropped_packets_total");

        if (!is_carrel_denied("ada", address))
                fail_msg("%s was reached", address);
        if (!wait_until(is_there, (void *)(uintptr_t)address, PATIENCE_S))
                fail_msg("%s is not there at all, so that nothing was shown", address);
        if (!wait_until(has_risen, &dropped, PATIENCE_S))
                fail_msg("no counter rose for %s", address);
}

/* ---- tests ---- */

static void denied_targets_are_dropped_and_counted(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_DENIED; i++)
                expect_denied(DENIED[i]);
}

static void allowed_targets_are_open(void **state)
{
        (void)state;
        assert_true(does_carrel_reach("ada", OUTSIDE_ALLOWED));
        assert_true(does_carrel_reach("ada", PINHOLE));
}

static void the_host_is_closed_on_all_its_addresses(void **state)
{
        static const char *const addresses[] = { "5.6.7.1", "169.254.1.1", BRIDGE };
        const char *const argv[] = { "busybox", "nc", "-ll", "-p", "7777", "-e", "echo", OUTSIDE_GREETING, NULL };
        pid_t server = process_spawn(argv, NULL, "/run/testbed/server.log");

        (void)state;
        for (size_t i = 0; i < 3; i++)
                expect_denied(addresses[i]);
        process_end(server, SIGKILL, 5.0);
}

struct listener {
        const char *user, *address;
};

static bool does_listener_greet(void *arg)
{
        const struct listener *listener = arg;

        return is_reached_within(listener->user, listener->address, 2);
}

static void neighbours_are_closed(void **state)
{
        struct volley *listening = volley_new(CARREL_SOCKET, 1);
        struct answer bob = carreld_ensure("bob");
        struct listener listener = { "bob", answer_text(&bob, "address") };

        (void)state;
        volley_add(listening, "POST", "/v1/carrels/bob/exec",
                   "{\"argv\":[\"sh\",\"-c\",\"while true; do echo " OUTSIDE_GREETING
                   " | nc -l -p 7777; done\"],\"timeout_s\":600}");
        volley_run(listening, 0.5);
        /* The control before and after: the listener is there all the while. */
        assert_true(wait_until(does_listener_greet, &listener, PATIENCE_S));
        assert_true(is_carrel_denied("ada", listener.address));
        assert_true(wait_until(does_listener_greet, &listener, PATIENCE_S));
        volley_free(listening);
        answer_release(&bob);
}

static bool does_resolve(const char *user)
{
        struct answer answer = carreld_exec(user, "nslookup carrel.example; true", PATIENCE_S);
        bool is_so = strstr(answer_text(&answer, "stdout"), OUTSIDE_ALLOWED) != NULL;

        assert_int_equal(answer.status, 200);
        answer_release(&answer);
        return is_so;
}

static void expect_resolver(const char *user, const char *address)
{
        struct answer answer = carreld_exec(user, "cat /etc/resolv.conf", PATIENCE_S);
        const char *text = answer_text(&answer, "stdout");

        if (strstr(text, address) == NULL || strstr(text, "host.example") != NULL)
                fail_msg("resolv.conf of %s: %s", user, text);
        answer_release(&answer);
}

static void names_resolve_by_the_hosts_resolvers(void **state)
{
        (void)state;
        expect_resolver("ada", RESOLVER);
        assert_true(does_resolve("ada"));
        expect_denied(RESOLVER); /* at another port */
}

static bool has_resolver(void *address)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/v1/info", NULL);
        bool is_so = strcmp(answer_text(&answer, "policy.resolvers"), address) == 0;

        answer_release(&answer);
        return is_so;
}

static void reload_with_resolver(const char *address)
{
        write_resolver(address);
        assert_int_equal(kill(carreld_pid(carreld), SIGHUP), 0);
        assert_true(wait_until(has_resolver, (void *)(uintptr_t)address, PATIENCE_S));
}

static bool doctor_says(const char *said)
{
        static struct output output;

        RUN(&output, built_program("cli/carrel"), "--socket", CARREL_SOCKET, "doctor");
        for (char *line = strtok(output.text, "\n"); line != NULL; line = strtok(NULL, "\n"))
                if (strncmp(line, "names resolve", 13) == 0 && strstr(line, said) != NULL)
                        return true;
        return false;
}

/* It says so when a name resolves, and what to do when none does. */
static void doctor_resolves_a_name(void **state)
{
        (void)state;
        assert_true(doctor_says(OUTSIDE_ALLOWED));
        reload_with_resolver("10.53.53.54"); /* nobody is there */
        assert_true(doctor_says("To fix it: set dns"));
        reload_with_resolver(RESOLVER);
}

/* The present resolvers of the host are open, and the former ones are not. */
static void a_reload_takes_other_resolvers(void **state)
{
        (void)state;
        reload_with_resolver(LATER_RESOLVER);
        carreld_must_ensure("later");
        expect_resolver("later", LATER_RESOLVER);
        assert_true(does_resolve("later"));
        assert_false(does_resolve("ada"));
        reload_with_resolver(RESOLVER);
}

/* An explicit dns is refused there (tests/unit/netpolicy). */
static void a_resolver_among_the_carrels_is_left_out(void **state)
{
        (void)state;
        reload_with_resolver(LATER_RESOLVER);
        write_resolver("10.213.0.53\nnameserver " RESOLVER);
        assert_int_equal(kill(carreld_pid(carreld), SIGHUP), 0);
        assert_true(wait_until(has_resolver, (void *)(uintptr_t)RESOLVER, PATIENCE_S));
        MUST_RUN("grep", "-q", "resolvers_skipped.*10.213.0.53", CARRELD_LOG);
        carreld_must_ensure("skipper");
        expect_resolver("skipper", RESOLVER);
        assert_true(does_resolve("skipper"));
        reload_with_resolver(LATER_RESOLVER);
        reload_with_resolver(RESOLVER);
}

/* With its own network, and with loopback only. In the latter case only the engine sets who may have ping sockets. */
static void low_ports_and_ping_sockets_are_for_everybody(void **state)
{
        static const char SCRIPT[] = "nc -l -p 80 </dev/null >/dev/null 2>&1 &\n"
                                     "for i in $(seq 500); do\n"
                                     "  nc -w 5 127.0.0.1 80 </dev/null 2>/dev/null && echo served && break\n"
                                     "done\n"
                                     "read -r low high </proc/sys/net/ipv4/ping_group_range; echo groups from $low\n";
        static const struct {
                const char *user, *said;
        } CASES[] = { { "ada", "served" }, { "hermit", "served" }, { "hermit", "groups from 0" } };

        (void)state;
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/hermit", "{\"policy\":\"none\"}", 200);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct answer answer = carreld_exec(CASES[i].user, SCRIPT, PATIENCE_S);

                if (strstr(answer_text(&answer, "stdout"), CASES[i].said) == NULL)
                        fail_msg("%s: %s", CASES[i].user, answer_text(&answer, "stdout"));
                answer_release(&answer);
        }
}

static void policy_none_reaches_nothing(void **state)
{
        (void)state;
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/hermit", "{\"policy\":\"none\"}", 200);
        assert_true(is_carrel_denied("hermit", OUTSIDE_ALLOWED));
        assert_true(is_carrel_denied("hermit", PINHOLE));
        assert_true(does_carrel_reach("ada", OUTSIDE_ALLOWED));
}

/* ---- rules that vanish ---- */

static bool is_in_force(void *arg)
{
        (void)arg;
        return carreld_metric("carrel_policy_in_force") == 1.0;
}

static bool has_healed(void *arg)
{
        return carreld_metric("carrel_policy_heals_total") > *(double *)arg && is_in_force(NULL);
}

static double seconds_until_healed(const char *const *argv, bool is_ours_hit)
{
        double heals = carreld_metric("carrel_policy_heals_total");
        double began_s = now_s();

        process_must_run(argv);
        if (is_ours_hit && !wait_until(has_healed, &heals, PATIENCE_S))
                fail_msg("%s %s %s: not healed", argv[0], argv[1], argv[2]);
        assert_true(wait_until(is_in_force, NULL, PATIENCE_S));
        return now_s() - began_s;
}

static void flushed_rules_are_healed(void **state)
{
        static const struct {
                const char *argv[8];
                bool is_ours_hit;
        } cases[] = {
                { { "iptables-legacy", "-w", "-t", "raw", "-F", NULL }, true },
                { { "ip6tables-legacy", "-w", "-t", "raw", "-F", NULL }, true },
                { { "iptables-legacy", "-w", "-F", NULL }, true },
                { { "iptables", "-F", NULL }, false },
                { { "nft", "flush", "ruleset", NULL }, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                double healed_s = HEAL_S + 1.0;

                for (int try = 0; try < TIMED_TRIES && healed_s > HEAL_S; try++)
                        healed_s = seconds_until_healed(cases[i].argv, cases[i].is_ours_hit);
                if (healed_s > HEAL_S)
                        fail_msg("%s %s %s: healed after %.1f s only", cases[i].argv[0], cases[i].argv[1],
                                 cases[i].argv[2], healed_s);
                assert_true(is_carrel_denied("ada", "169.254.169.254"));
                assert_true(does_carrel_reach("ada", OUTSIDE_ALLOWED));
        }
}

static pid_t helper_pid(void)
{
        char path[64], text[64] = "";
        FILE *file;

        snprintf(path, sizeof path, "/proc/%d/task/%d/children", carreld_pid(carreld), carreld_pid(carreld));
        file = fopen(path, "re");
        assert_non_null(file);
        assert_non_null(fgets(text, sizeof text, file));
        fclose(file);
        return (pid_t)atoi(text);
}

static bool is_refused(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "PUT", arg, "{}");
        bool is_so = answer.status == 503 && strcmp(answer_text(&answer, "error.code"), "policy_not_in_force") == 0;

        answer_release(&answer);
        return is_so;
}

/* While nobody can say that the rules stand, nobody gets a carrel: neither a new one nor his own. */
static void ensure_is_refused_while_the_policy_is_unknown(void **state)
{
        pid_t helper = helper_pid();
        char new_user[] = "/v1/carrels/newcomer", old_user[] = "/v1/carrels/ada";
        double heals = carreld_metric("carrel_policy_heals_total");

        (void)state;
        assert_int_equal(kill(helper, SIGSTOP), 0);
        MUST_RUN("iptables-legacy", "-w", "-t", "raw", "-F");
        assert_true(wait_until(is_refused, new_user, PATIENCE_S));
        assert_true(wait_until(is_refused, old_user, PATIENCE_S));
        assert_int_equal(engine_count(LABEL_USER "=newcomer"), 0);
        assert_int_equal(kill(helper, SIGCONT), 0);
        assert_true(wait_until(has_healed, &heals, PATIENCE_S));
        carreld_must_ensure("newcomer");
        carreld_must_ensure("ada");
}

static bool has_new_helper(void *arg)
{
        char path[64], text[64] = "";
        FILE *file;
        pid_t now = 0;

        snprintf(path, sizeof path, "/proc/%d/task/%d/children", carreld_pid(carreld), carreld_pid(carreld));
        file = fopen(path, "re");
        if (file != NULL && fgets(text, sizeof text, file) != NULL)
                now = (pid_t)atoi(text);
        if (file != NULL)
                fclose(file);
        return now > 0 && now != *(pid_t *)arg;
}

static void a_killed_helper_is_started_again(void **state)
{
        pid_t helper = helper_pid();

        (void)state;
        assert_int_equal(kill(helper, SIGKILL), 0);
        assert_true(wait_until(has_new_helper, &helper, PATIENCE_S));
        assert_true(wait_until(is_in_force, NULL, PATIENCE_S));
        carreld_must_ensure("late");
        assert_true(does_carrel_reach("late", OUTSIDE_ALLOWED));
        assert_true(is_carrel_denied("late", "169.254.169.254"));
}

static void the_network_outlives_an_engine_restart(void **state)
{
        (void)state;
        engine_restart(engine, SIGKILL);
        assert_false(does_host_reach("9.9.9.9"));
        expect_denied("169.254.169.254");
        assert_true(does_carrel_reach("ada", OUTSIDE_ALLOWED));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(allowed_targets_are_open),
                cmocka_unit_test(denied_targets_are_dropped_and_counted),
                cmocka_unit_test(the_host_is_closed_on_all_its_addresses),
                cmocka_unit_test(neighbours_are_closed),
                cmocka_unit_test(names_resolve_by_the_hosts_resolvers),
                cmocka_unit_test(a_reload_takes_other_resolvers),
                cmocka_unit_test(a_resolver_among_the_carrels_is_left_out),
                cmocka_unit_test(doctor_resolves_a_name),
                cmocka_unit_test(low_ports_and_ping_sockets_are_for_everybody),
                cmocka_unit_test(policy_none_reaches_nothing),
                cmocka_unit_test(flushed_rules_are_healed),
                cmocka_unit_test(ensure_is_refused_while_the_policy_is_unknown),
                cmocka_unit_test(a_killed_helper_is_started_again),
                { "the_network_outlives_an_engine_restart", the_network_outlives_an_engine_restart, NULL, NULL,
                  ENGINE_DAEMON },
        };

        return suite_run(&(struct suite){
                .name = "egress",
                .kind = SUITE_ENGINE,
                .set_up = set_up,
                .tear_down = tear_down,
                SUITE_TESTS(tests),
        });
}
