/* cmd_calibrate.c - `leat calibrate`: measures which policy (leat/policy.h) is best for channels on this machine.
 *
 * Changes nothing: it prints a setting of LEAT_POLICY, which every program that creates channels follows.
 */
#include <stdio.h>
#include <unistd.h>

#include "common.h"
#include "figures.h"
#include "signals.h"

#define SECONDS_DEFAULT UINT64_C(3)

static const char help[] =
    "Usage: leat calibrate [--seconds SECONDS] [--verbose] [--json]\n"
    "\n"
    "Measures on two processors for how long channels of this machine should spin\n"
    "and nap, and what they should wipe, and prints it as a setting:\n"
    "\n"
    "  export $(leat calibrate)\n"
    "\n"
    "Channels that are created from then on have it; 'leat info' shows it. Without\n"
    "it they have what is known of this family of processors. Nothing but speed\n"
    "depends on it.\n"
    "\n"
    "  --seconds SECONDS  how long to measure; default 3\n"
    "  --verbose          show what was compared, on standard error, also where that\n"
    "                     is no terminal\n"
    "  --json             {\"spin_ns\", \"nap_ns\", \"wipe_bytes\", \"source\", \"trials\"}\n";

enum { OPTION_SECONDS = 's', OPTION_VERBOSE = 'v' };

struct calibration {
    uint64_t budget_ns;
    bool verbose, progress, json, help;
    json_t *trials;
};

static bool on_trial(void *context, const leat_policy_trial *trial) {
    struct calibration *calibration = context;
    const leat_policy *policy = &trial->policy;
    if (trial->rate > 0 && calibration->verbose)
        fprintf(stderr, "%sspin %u ns, nap %u ns, wipe %u bytes: %.3f times the rate\n", calibration->progress ? "\r\033[K" : "",
                policy->spin_ns, policy->nap_ns, policy->wipe_bytes, trial->rate);
    if (trial->rate > 0) {
        json_t *object = json_of_policy(policy);
        json_object_set_new(object, "rate", json_real(trial->rate));
        json_array_append_new(calibration->trials, object);
    }
    if (calibration->progress)
        fprintf(stderr, "\rmeasuring: %3.0f %%", 100 * trial->progress);
    return signals_seen() == 0;
}

static int measure(struct calibration *calibration) {
    const struct target machine = {"calibration of", "this machine", LEAT_LOCAL};
    leat_policy policy;
    signals_catch();
    int code = leat_policy_measure(&policy, calibration->budget_ns, on_trial, calibration);
    if (calibration->progress)
        fputs("\r\033[K", stderr);
    if (signals_seen() != 0)
        return END_BY_SIGNAL + signals_seen();
    if (code != LEAT_OK)
        return fail_leat(&machine, code, NULL);
    if (calibration->json) {
        json_t *object = json_of_policy(&policy);
        json_object_set(object, "trials", calibration->trials);
        json_write(object, stdout, false);
    } else {
        printf("LEAT_POLICY=spin=%u,nap=%u,wipe=%u\n", policy.spin_ns, policy.nap_ns, policy.wipe_bytes);
    }
    return END_OK;
}

static bool take_option(struct calibration *calibration, int option) {
    switch (option) {
    case OPTION_HELP:
        return calibration->help = true;
    case OPTION_JSON:
        return calibration->json = true;
    case OPTION_VERBOSE:
        return calibration->verbose = true;
    case OPTION_SECONDS:
        if (!seconds_option("seconds", optarg, &calibration->budget_ns))
            return false;
        if (calibration->budget_ns < 100000000 || calibration->budget_ns > UINT64_C(3600) * 1000000000) {
            fail_usage("--seconds: wanted is from 0.1 to 3600");
            return false;
        }
        return true;
    default:
        fail_usage(NULL);
        return false;
    }
}

static int run(int argc, char **argv) {
    static const struct option options[] = {COMMON_OPTIONS,
                                            {"seconds", required_argument, NULL, OPTION_SECONDS},
                                            {"verbose", no_argument, NULL, OPTION_VERBOSE},
                                            {0}};
    struct calibration calibration = {.budget_ns = SECONDS_DEFAULT * 1000000000};
    int option;
    while ((option = getopt_long(argc, argv, "hjs:v", options, NULL)) != -1)
        if (!take_option(&calibration, option))
            return END_USAGE;
    if (calibration.help)
        return fputs(help, stdout), END_OK;
    if (optind < argc)
        return fail_usage("nothing to be named, but there is '%s'", argv[optind]);
    calibration.progress = isatty(STDERR_FILENO) != 0;
    calibration.verbose = calibration.verbose || calibration.progress;
    calibration.trials = json_array();
    int end = measure(&calibration);
    json_decref(calibration.trials);
    return end;
}

const struct command command_calibrate = {"calibrate", "measure what is best on this machine", help, run};
