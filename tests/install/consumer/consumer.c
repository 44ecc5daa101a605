/* consumer VERSION - a C program that uses the installed leat: a message goes through a channel and
 * comes out. */
#include <leat/inline.h>
#include <leat/leat.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int failed(const char *what, int code) {
    printf("%s: %s (%s)\n", what, leat_error_name(code), leat_error_detail());
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 2 || strcmp(leat_version(), argv[1]) != 0 ||
        strcmp(LEAT_VERSION_STRING, argv[1]) != 0) {
        printf("library %s, header %s, wanted %s\n", leat_version(), LEAT_VERSION_STRING,
               argc == 2 ? argv[1] : "?");
        return 1;
    }

    char name[64];
    snprintf(name, sizeof name, "install-consumer-%ld", (long)getpid());
    leat_sender *sender = NULL;
    leat_receiver *receiver = NULL;
    char text[16] = "";
    size_t size = 0;
    int code = leat_sender_open(&sender, name, NULL);
    if (code != LEAT_OK)
        return failed("leat_sender_open", code);
    code = leat_receiver_open(&receiver, name, NULL);
    if (code != LEAT_OK)
        return failed("leat_receiver_open", code);
    code = leat_send(sender, "hello", 6, LEAT_NOW);
    if (code != LEAT_OK)
        return failed("leat_send", code);
    code = leat_recv(receiver, text, sizeof text, &size, LEAT_NOW);
    if (code != LEAT_OK)
        return failed("leat_recv", code);
    char again[6] = "";
    size_t inlined = 0;
    if (leat_send_inline(sender, text, 6, LEAT_NOW) != LEAT_OK ||
        leat_recv_inline(receiver, again, 6, &inlined, LEAT_NOW) != LEAT_OK || inlined != 6 ||
        strcmp(again, text) != 0)
        return failed("leat/inline.h", code);
    leat_receiver_close(receiver);
    leat_sender_close(sender);
    return size == 6 && strcmp(text, "hello") == 0 ? 0 : 1;
}
