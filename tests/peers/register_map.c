/* A Modbus TCP server of libmodbus that serves some places and refuses all others.
 *
 *     register_map HOST PORT UNITS PLACES...        such as: 127.0.0.1 0 1,7 holding:0-9 coil:0-15
 *
 * Says {"listening": 40123} on standard output, and {"wrote": 6} for each request whose function is no
 * reading one. Register N of table T, counted from coil as 0, holds 31 * N + 7 * T, 16 bits of it; every third
 * bit is set. Units that are not served are answered for as a gateway does that cannot reach them. One client
 * at a time; register_map.py is the same with pymodbus.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

enum { PLACES = 65536, TABLES = 4, MBAP_BYTES = 7 };

static const char *const NAMES[TABLES] = {"coil", "discrete", "input", "holding"};
/* The table that each reading function is about, by its code. */
static const int TABLE_OF[] = {-1, 0, 1, 3, 2};

static unsigned char is_served[TABLES][PLACES];
static unsigned char is_unit[256];

static void fail(const char *what) {
    fprintf(stderr, "register_map: %s: %s\n", what, modbus_strerror(errno));
    exit(1);
}

static void serve_places(const char *text) {
    char name[16];
    unsigned first, last;
    int read = sscanf(text, "%15[a-z]:%u-%u", name, &first, &last);
    if (read == 2) last = first;
    for (int table = 0; read >= 2 && table < TABLES; table++)
        if (!strcmp(name, NAMES[table]) && first <= last && last < PLACES) {
            memset(&is_served[table][first], 1, last - first + 1);
            return;
        }
    fprintf(stderr, "register_map: %s names no places\n", text);
    exit(1);
}

static modbus_mapping_t *registers(void) {
    modbus_mapping_t *map = modbus_mapping_new(PLACES, PLACES, PLACES, PLACES);
    if (!map) fail("no memory");
    for (int place = 0; place < PLACES; place++) {
        map->tab_bits[place] = map->tab_input_bits[place] = place % 3 == 0;
        map->tab_input_registers[place] = (uint16_t) (31 * place + 7 * 2);
        map->tab_registers[place] = (uint16_t) (31 * place + 7 * 3);
    }
    return map;
}

static void answer(modbus_t *modbus, const uint8_t *request, int length, modbus_mapping_t *map) {
    const uint8_t *pdu = request + MBAP_BYTES;
    unsigned function = pdu[0], first = pdu[1] << 8 | pdu[2], count = pdu[3] << 8 | pdu[4];
    if (!is_unit[request[MBAP_BYTES - 1]]) {
        modbus_reply_exception(modbus, request, MODBUS_EXCEPTION_GATEWAY_TARGET);
    } else if (function < 1 || function > 4) {
        printf("{\"wrote\": %u}\n", function);
        fflush(stdout);
        modbus_reply_exception(modbus, request, MODBUS_EXCEPTION_ILLEGAL_FUNCTION);
    } else if (first + count > PLACES || memchr(&is_served[TABLE_OF[function]][first], 0, count)) {
        modbus_reply_exception(modbus, request, MODBUS_EXCEPTION_ILLEGAL_DATA_ADDRESS);
    } else {
        modbus_reply(modbus, request, length, map);
    }
}

int main(int count, char **arguments) {
    if (count < 4) {
        fprintf(stderr, "usage: register_map HOST PORT UNITS PLACES...\n");
        return 2;
    }
    /* It ends with the test that started it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    modbus_t *modbus = modbus_new_tcp(arguments[1], atoi(arguments[2]));
    if (!modbus) fail("no context");
    for (char *unit = strtok(arguments[3], ","); unit; unit = strtok(NULL, ",")) is_unit[(unsigned char) atoi(unit)] = 1;
    for (int index = 4; index < count; index++) serve_places(arguments[index]);
    modbus_mapping_t *map = registers();

    int listening = modbus_tcp_listen(modbus, 4);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    if (listening < 0 || getsockname(listening, (struct sockaddr *) &address, &length)) fail("cannot listen");
    printf("{\"listening\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        if (modbus_tcp_accept(modbus, &listening) < 0) fail("cannot accept");
        uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
        int received;
        while ((received = modbus_receive(modbus, request)) >= 0)
            if (received > 0) answer(modbus, request, received, map);
        modbus_close(modbus);
    }
}
