/* uv.c - a program that waits for a channel in a libuv loop. */
#include <leat/uv.h>
#include <string.h>

static int received;

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    received = message->size == 5 && memcmp(message->data, "hello", 5) == 0;
    leat_uv_close(&receiver->handle, NULL);
}

int main(int argc, char **argv) {
    leat_uv_receiver_t receiver;
    leat_sender *sender;
    if (argc < 2 || strcmp(argv[1], leat_version()) != 0)
        return 1;
    if (leat_uv_receiver_open(uv_default_loop(), &receiver, "consumer-uv", NULL) != 0 ||
        leat_sender_open(&sender, "consumer-uv", NULL) != LEAT_OK ||
        leat_send(sender, "hello", 5, LEAT_NOW) != LEAT_OK ||
        leat_uv_receiver_start(&receiver, on_message, NULL) != 0)
        return 2;
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    leat_sender_close(sender);
    return uv_loop_close(uv_default_loop()) == 0 && received ? 0 : 3;
}
