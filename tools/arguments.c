/* arguments.c - see arguments.h. */
#include "arguments.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "names.h"

#define HELP_WIDTH 80
#define HELP_COLUMN 27 /* where explanations begin, at most */
#define NEAR 2         /* edits from an unknown option to the one that was meant */
#define OPTION_NAME_MAX 31
#define FIRST_ROW 0x100 /* getopt_long's value of the first row: no letter */

#define EACH_ROW(row, command)                                                                     \
    const struct argument *row = (command)->arguments;                                             \
    row != NULL;                                                                                   \
    row = is_help(row) ? NULL : row + 1

static bool is_option(const struct argument *row) {
    return row->name != NULL;
}

static bool is_help(const struct argument *row) {
    return is_option(row) && strcmp(row->name, "help") == 0;
}

/* --- Values ----------------------------------------------------------------------------------- */

bool parse_count(const char *text, uint64_t *count) {
    char *end;
    if (!isdigit((unsigned char)text[0])) /* strtoull would take "-1" and " 1" */
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0)
        return false;
    *count = value;
    return true;
}

/* The factor that the letters after a number mean; 0 when they mean nothing. */
static uint64_t unit_of(const char *letters) {
    static const char prefixes[] = "KMGT";
    if (letters[0] == 0 || strcmp(letters, "B") == 0)
        return 1;
    const char *prefix = strchr(prefixes, toupper((unsigned char)letters[0]));
    if (prefix == NULL)
        return 0;
    bool binary =
        letters[1] == 0 || strcmp(letters + 1, "iB") == 0 || strcmp(letters + 1, "i") == 0;
    if (!binary && strcmp(letters + 1, "B") != 0)
        return 0;
    uint64_t unit = 1;
    for (const char *step = prefixes; step <= prefix; step++)
        unit *= binary ? 1024 : 1000;
    return unit;
}

bool parse_size(const char *text, uint64_t *bytes) {
    char *letters;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &letters, 10);
    uint64_t unit = unit_of(letters);
    if (errno != 0 || unit == 0 || value > UINT64_MAX / unit)
        return false;
    *bytes = value * unit;
    return true;
}

bool parse_seconds(const char *text, uint64_t *duration_ns) {
    char *end;
    if (strcmp(text, "forever") == 0) {
        *duration_ns = UINT64_MAX;
        return true;
    }
    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return false;
    double seconds = strtod(text, &end);
    if (end == text || *end != 0 || !(seconds >= 0))
        return false;
    *duration_ns = seconds >= 1e9 ? UINT64_MAX : (uint64_t)(seconds * 1e9);
    return true;
}

static bool parse_permissions(const char *text, uint32_t *permissions) {
    size_t digits = strspn(text, "01234567");
    unsigned long value = strtoul(text, NULL, 8);
    if (digits == 0 || digits > 5 || text[digits] != 0 || value == 0 || value > 0777)
        return false;
    *permissions = (uint32_t)value;
    return true;
}

static bool parse_choice(const struct argument *row, const char *text) {
    for (int i = 0; row->choices(i) != NULL; i++)
        if (strcasecmp(row->choices(i), text) == 0) {
            *row->choice = i;
            return true;
        }
    return false;
}

static bool in_range(const struct argument *row, uint64_t value) {
    return value >= row->min && (row->max == 0 || value <= row->max);
}

/* Stores the value unless it is wrong. */
static bool store(const struct argument *row, const char *text) {
    uint64_t value;
    if (row->text != NULL)
        return (row->max == 0 || strlen(text) <= row->max) && (*row->text = text, true);
    if (row->permissions != NULL)
        return parse_permissions(text, row->permissions);
    if (row->choice != NULL)
        return parse_choice(row, text);
    if (row->take != NULL)
        return row->take(text) == NULL;
    bool good = row->size != NULL       ? parse_size(text, &value)
                : row->duration != NULL ? parse_seconds(text, &value)
                                        : parse_count(text, &value);
    if (!good || !in_range(row, value))
        return false;
    *(row->size != NULL ? row->size : row->duration != NULL ? row->duration : row->count) = value;
    return true;
}

static void describe_range(struct allowed *allowed, const struct argument *row) {
    size_t used = strlen(allowed->text);
    double unit = row->duration != NULL ? 1e9 : 1;
    if (row->max != 0)
        snprintf(allowed->text + used, sizeof allowed->text - used, ", %.12g to %.12g",
                 (double)row->min / unit, (double)row->max / unit);
    else if (row->min != 0)
        snprintf(allowed->text + used, sizeof allowed->text - used, ", %.12g or more",
                 (double)row->min / unit);
}

static void describe_choices(struct allowed *allowed, const struct argument *row) {
    for (int i = 0; row->choices(i) != NULL; i++) {
        size_t used = strlen(allowed->text);
        snprintf(allowed->text + used, sizeof allowed->text - used, "%s%s",
                 i == 0 ? "one of " : ", ", row->choices(i));
    }
}

const char *arguments_allowed(struct allowed *allowed, const struct argument *row) {
    const char *kind = row->count != NULL         ? "a whole number"
                       : row->size != NULL        ? "a number of bytes such as 65536, 64K or 64MiB"
                       : row->permissions != NULL ? "an octal number from 001 to 777, such as 640"
                       : row->take != NULL        ? row->take("")
                                                  : "";
    if (row->duration != NULL)
        kind = row->max == 0 ? "a number of seconds such as 10 or 0.5, or 'forever'"
                             : "a number of seconds";
    snprintf(allowed->text, sizeof allowed->text, "%s", kind);
    if (row->count != NULL || row->size != NULL || row->duration != NULL)
        describe_range(allowed, row);
    else if (row->choice != NULL)
        describe_choices(allowed, row);
    else if (row->text != NULL && row->max != 0)
        snprintf(allowed->text, sizeof allowed->text, "a text of at most %llu bytes",
                 (unsigned long long)row->max);
    return allowed->text[0] != 0 ? allowed->text : NULL;
}

/* --- Parsing ---------------------------------------------------------------------------------- */

struct label {
    char text[40];
};

/* The argument's name in messages: "--wait", "SIZE". */
static const char *label_of(struct label *label, const struct argument *row) {
    if (is_option(row))
        snprintf(label->text, sizeof label->text, "--%s", row->name);
    else
        snprintf(label->text, sizeof label->text, "%.*s", (int)strcspn(row->value, " ."),
                 row->value);
    return label->text;
}

static int take_value(const struct argument *row, const char *text) {
    struct label label;
    struct shown_text shown;
    struct allowed allowed;
    if (row->given != NULL)
        *row->given = true;
    if (row->flag != NULL)
        return *row->flag = true, ARGUMENTS_GOOD;
    if (store(row, text))
        return ARGUMENTS_GOOD;
    return fail_usage("%s: '%s' is not %s", label_of(&label, row), text_show(&shown, text),
                      arguments_allowed(&allowed, row));
}

/* How many letters must be typed, left out or changed to get from one name to the other. */
static size_t edits(const char *from, const char *to) {
    size_t row[OPTION_NAME_MAX + 1], length = strlen(to);
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; from[i - 1] != 0; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t changed = diagonal + (from[i - 1] != to[j - 1]);
            diagonal = row[j];
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = changed < shorter ? changed : shorter;
        }
    }
    return row[length];
}

static const char *nearest(const struct command *command, const char *name) {
    const char *best = NULL;
    size_t least = NEAR + 1;
    for (EACH_ROW(row, command))
        if (is_option(row) && edits(name, row->name) < least) {
            least = edits(name, row->name);
            best = row->name;
        }
    return best;
}

/* The options that an ambiguous abbreviation can mean: "--filter, --follow"; "" if it is none. */
static const char *candidates(const struct command *command, const char *name) {
    static char text[ARGUMENTS_MAX * (OPTION_NAME_MAX + 4)];
    size_t used = 0;
    text[0] = 0;
    for (EACH_ROW(row, command))
        if (is_option(row) && strncmp(row->name, name, strlen(name)) == 0)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s--%s",
                                     used == 0 ? "" : ", ", row->name);
    return text;
}

static int fail_unknown(const struct command *command, const char *typed) {
    struct shown_text shown;
    char name[OPTION_NAME_MAX + 1] = "";
    if (optopt != 0)
        return fail_usage("-%c: there is no such option", isprint(optopt) ? optopt : '?');
    snprintf(name, sizeof name, "%.*s", (int)strcspn(typed + 2, "="), typed + 2);
    text_show(&shown, typed);
    const char *meant = candidates(command, name);
    if (meant[0] != 0)
        return fail_usage("%s: this can mean %s", shown.text, meant);
    meant = nearest(command, name);
    if (meant != NULL)
        return fail_usage("%s: there is no such option; the nearest is --%s", shown.text, meant);
    return fail_usage("%s: there is no such option", shown.text);
}

/* The row for a value of getopt_long. */
static const struct argument *row_of(const struct command *command, int option) {
    if (option >= FIRST_ROW)
        return command->arguments + (option - FIRST_ROW);
    for (EACH_ROW(row, command))
        if (row->letter == option)
            return row;
    return NULL;
}

/* Reports what getopt_long refused. */
static int fail_option(const struct command *command, int complaint, const char *typed) {
    struct label label;
    const struct argument *row = optopt == 0 ? NULL : row_of(command, optopt);
    if (row == NULL)
        return fail_unknown(command, typed);
    if (complaint == ':')
        return fail_usage("%s: %s is missing", label_of(&label, row), row->value);
    return fail_usage("%s: it takes no value", label_of(&label, row));
}

struct syntax {
    struct option options[ARGUMENTS_MAX + 1];
    char letters[2 * ARGUMENTS_MAX + 3];
};

static void add_option(struct syntax *syntax, const struct argument *row, int number) {
    bool takes_value = row->value != NULL;
    struct option *option = syntax->options;
    while (option->name != NULL)
        option++;
    *option = (struct option){row->name, takes_value, NULL, number};
    char *letters = syntax->letters + strlen(syntax->letters);
    if (row->letter != 0)
        snprintf(letters, 3, "%c%s", row->letter, takes_value ? ":" : "");
}

/* In getopt_long's form. A colon in front: it leaves messages to us. */
static void make_syntax(struct syntax *syntax, const struct command *command) {
    *syntax = (struct syntax){.letters = ":"};
    if (command->passes_on)
        strcpy(syntax->letters, "+:");
    for (EACH_ROW(row, command))
        if (is_option(row))
            add_option(syntax, row, FIRST_ROW + (int)(row - command->arguments));
}

static int parse_options(const struct command *command, int argc, char **argv, uint64_t *given) {
    struct syntax syntax;
    int option, end = ARGUMENTS_GOOD;
    make_syntax(&syntax, command);
    opterr = 0;
    while (end == ARGUMENTS_GOOD &&
           (option = getopt_long(argc, argv, syntax.letters, syntax.options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return fail_option(command, option, argv[optind - 1]);
        const struct argument *row = row_of(command, option);
        if (is_help(row))
            return arguments_help(command, stdout), END_OK;
        *given |= UINT64_C(1) << (row - command->arguments);
        end = take_value(row, optarg);
    }
    return end;
}

static int fail_superfluous(const struct command *command, const char *text) {
    struct shown_text shown;
    return fail_usage("unexpected argument '%s'%s%s", text_show(&shown, text),
                      command->instead == NULL ? "" : "; ",
                      command->instead == NULL ? "" : command->instead);
}

/* Optional operands are filled from the first on. */
static int parse_operands(const struct command *command, char **operands, uint64_t *given) {
    struct label label;
    for (EACH_ROW(row, command)) {
        if (is_option(row))
            continue;
        if (*operands == NULL && !row->optional)
            return fail_usage("%s is missing", label_of(&label, row));
        if (row->rest != NULL)
            return *row->rest = operands, ARGUMENTS_GOOD;
        if (*operands == NULL)
            continue;
        *given |= UINT64_C(1) << (row - command->arguments);
        int end = take_value(row, *operands++);
        if (end != ARGUMENTS_GOOD)
            return end;
    }
    return *operands == NULL ? ARGUMENTS_GOOD : fail_superfluous(command, *operands);
}

static const struct argument *option_named(const struct command *command, const char *name) {
    for (EACH_ROW(row, command))
        if (is_option(row) && strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

static bool is_given(const struct command *command, uint64_t given, const struct argument *row) {
    return row != NULL && (given >> (row - command->arguments) & 1) != 0;
}

/* Checks which arguments need or exclude each other. */
static int check_together(const struct command *command, uint64_t given) {
    struct label label;
    for (EACH_ROW(row, command)) {
        bool there = is_given(command, given, row);
        if (row->required && !there)
            return fail_usage("--%s %s is missing", row->name, row->value);
        if (there && row->needs != NULL &&
            !is_given(command, given, option_named(command, row->needs)))
            return fail_usage("%s: it needs --%s", label_of(&label, row), row->needs);
        if (there && row->excludes != NULL &&
            is_given(command, given, option_named(command, row->excludes)))
            return fail_usage("%s: it excludes --%s", label_of(&label, row), row->excludes);
    }
    return ARGUMENTS_GOOD;
}

int arguments_parse(const struct command *command, int argc, char **argv) {
    uint64_t given = 0; /* a bit for each row */
    int end = parse_options(command, argc, argv, &given);
    if (end == ARGUMENTS_GOOD)
        end = parse_operands(command, argv + optind, &given);
    return end == ARGUMENTS_GOOD ? check_together(command, given) : end;
}

/* --- Help ------------------------------------------------------------------------------------- */

static void print_usage(const struct command *command, FILE *out) {
    bool options = false;
    fprintf(out, "Usage: leat %s", command->name);
    for (EACH_ROW(row, command)) {
        if (is_option(row) && row->required)
            fprintf(out, " --%s %s", row->name, row->value);
        options = options || (is_option(row) && !row->required);
    }
    if (options && command->passes_on)
        fputs(" [OPTION...] [--]", out);
    for (EACH_ROW(row, command))
        if (!is_option(row))
            fprintf(out, row->optional ? " [%s]" : " %s", row->value);
    fputs(options && !command->passes_on ? " [OPTION...]\n" : "\n", out);
}

/* Writes words into lines from a column on; the first line is there already. */
static void print_wrapped(FILE *out, const char *text, int column) {
    int at = column;
    while (*text != 0) {
        int length = (int)strcspn(text, " ");
        if (at > column && at + 1 + length > HELP_WIDTH) {
            fprintf(out, "\n%*s", column, "");
            at = column;
        }
        at += fprintf(out, "%s%.*s", at > column ? " " : "", length, text);
        text += length + (text[length] == ' ');
    }
    fputc('\n', out);
}

struct entry {
    char text[80];
};

/* "  -g, --global", "      --wait SECONDS". */
static int entry_of(struct entry *entry, const struct argument *row) {
    char letter[8] = "    ";
    if (row->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    return snprintf(entry->text, sizeof entry->text, "  %s--%s%s%s", letter, row->name,
                    row->value == NULL ? "" : " ", row->value == NULL ? "" : row->value);
}

static void print_option(FILE *out, const struct argument *row, int column) {
    struct entry entry;
    int used = entry_of(&entry, row);
    if (used + 2 > column)
        fprintf(out, "%s\n%*s", entry.text, column, "");
    else
        fprintf(out, "%-*s", column, entry.text);
    print_wrapped(out, row->help, column);
}

static int column_of(const struct command *command) {
    struct entry entry;
    int column = 0;
    for (EACH_ROW(row, command)) {
        int wanted = is_option(row) ? entry_of(&entry, row) + 2 : 0;
        if (wanted > column && wanted <= HELP_COLUMN)
            column = wanted;
    }
    return column;
}

void arguments_help(const struct command *command, FILE *out) {
    int column = column_of(command);
    print_usage(command, out);
    fprintf(out, "\n%s\n", command->about);
    for (EACH_ROW(row, command))
        if (is_option(row))
            print_option(out, row, column);
    if (command->notes != NULL)
        fprintf(out, "\n%s", command->notes);
}
