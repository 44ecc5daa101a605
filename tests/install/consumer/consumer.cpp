// consumer VERSION - a C++ program that uses the installed leat: bytes go into a region and come
// out.
#include <leat/inline.h>
#include <leat/leat.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 2 || std::string(argv[1]) != leat_version()) {
        std::printf("library %s, wanted %s\n", leat_version(), argc == 2 ? argv[1] : "?");
        return 1;
    }

    const std::string name = "install-consumer-cpp-" + std::to_string(getpid());
    leat_region_options options = {};
    options.permissions = 0600;
    leat_region *region = nullptr;
    int code = leat_region_open(&region, name.c_str(), 4096, &options);
    if (code != LEAT_OK) {
        std::printf("leat_region_open: %s (%s)\n", leat_error_name(code), leat_error_detail());
        return 1;
    }
    char text[6] = "";
    code = leat_region_write(region, 100, "hello", 6);
    if (code == LEAT_OK)
        code = leat_region_read(region, 100, text, sizeof text);
    leat_region_close(region);

    leat_sender *sender = nullptr;
    leat_receiver *receiver = nullptr;
    const std::string channel = name + "-channel";
    std::uint64_t sample = 42, got = 0;
    std::size_t size = 0;
    if (leat_sender_open(&sender, channel.c_str(), nullptr) != LEAT_OK ||
        leat_receiver_open(&receiver, channel.c_str(), nullptr) != LEAT_OK ||
        leat_send_inline(sender, &sample, sizeof sample, LEAT_NOW) != LEAT_OK ||
        leat_recv_inline(receiver, &got, sizeof got, &size, LEAT_NOW) != LEAT_OK || got != sample) {
        std::printf("leat/inline.h: %s\n", leat_error_detail());
        return 1;
    }
    leat_receiver_close(receiver);
    leat_sender_close(sender);
    return code == LEAT_OK && std::strcmp(text, "hello") == 0 ? 0 : 1;
}
