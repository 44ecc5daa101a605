/* leat.c - the `leat` command: finds the command that is asked for, runs it, and ends the process
 * as the command ended.
 *
 * Guarantees: exit code 0 only when everything asked for was done and all of the output was taken
 * by the system.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "names.h"
#include "signals.h"

static void print_overview(FILE *stream) {
    fputs("Usage: leat COMMAND [OPTION...] [NAME]\n"
          "\n"
          "Channels carry messages from one process to another through shared memory;\n"
          "regions are named shared memory.\n"
          "\n"
          "Commands:\n",
          stream);
    for (size_t i = 0; commands[i] != NULL; i++)
        if (commands[i]->summary != NULL)
            fprintf(stream, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("  help     explain a command: leat help COMMAND\n"
          "\n"
          "Try it: in one terminal 'leat recv hello --wait 60',\n"
          "        in another      'echo Hello | leat send hello'.\n"
          "\n"
          "Options: --help, --version; each command takes --help too, and --json where its\n"
          "output is data. A NAME is any text of 1 to 255 bytes. Names are local to this\n"
          "user unless --global is given or the name starts with Global\\ (then they are\n"
          "the machine's: /dev/shm/NAME). Sizes may be written as 65536, 64K or 64MiB.\n"
          "\n"
          "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 no such object, or no peer;\n"
          "4 timed out; 5 the process on the other side died. A command that is ended by\n"
          "a signal cleans up and then ends by it, which a shell shows as 128 + number.\n",
          stream);
}

static int run_help(int argc, char **argv) {
    if (argc < 2) {
        print_overview(stdout);
        return END_OK;
    }
    const struct command *command = command_named(argv[1]);
    if (command == NULL || command->summary == NULL) {
        struct shown_text shown;
        fprintf(stderr, "leat: help: there is no command '%s'; 'leat --help' lists them\n",
                text_show(&shown, argv[1]));
        return END_USAGE;
    }
    arguments_help(command, stdout);
    return END_OK;
}

static int run_command(const struct command *command, int argc, char **argv) {
    message_command(command->name);
    int end = arguments_parse(command, argc, argv);
    return end == ARGUMENTS_GOOD ? command->run() : end;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_overview(stderr);
        return END_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return END_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("leat %s\n", leat_version());
        return END_OK;
    }
    if (strcmp(argv[1], "help") == 0)
        return run_help(argc - 1, argv + 1);
    const struct command *command = command_named(argv[1]);
    if (command == NULL) {
        struct shown_text shown;
        fprintf(stderr, "leat: there is no command '%s'; 'leat --help' lists them\n",
                text_show(&shown, argv[1]));
        return END_USAGE;
    }
    return run_command(command, argc - 1, argv + 1);
}

/* Were a standard stream closed, the next file opened would take its number, and messages would be
 * written into shared memory. The replacement cannot be used in the stream's direction, so that
 * using it fails as it should. */
static void occupy_standard_streams(void) {
    for (int descriptor = 0; descriptor <= 2; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 &&
            open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY) < 0)
            _exit(END_FAILED);
}

int main(int argc, char **argv) {
    occupy_standard_streams();
    /* each message in one piece, also when two commands share the terminal */
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
    setlocale(LC_CTYPE, ""); /* for the screens; numbers stay as they are everywhere */
    int end = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (end == END_OK)
            end = fail_system("standard output", errno);
    }
    if (end > END_BY_SIGNAL)
        signals_end_by(end - END_BY_SIGNAL);
    return end;
}
