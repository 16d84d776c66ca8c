/* libmodbus_client PORT SECONDS: makes the requests of standard input, each "unit first count wanted", over and
 * over, and says how many wanted registers were read, the processor time and the time in seconds. */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    static int requests[200000][4];
    int length = 0;
    if (count != 3) return 2;
    for (int *next = requests[0]; length < 200000; next = requests[++length])
        if (scanf("%d %d %d %d", &next[0], &next[1], &next[2], &next[3]) != 4) break;
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", atoi(arguments[1]));
    if (!modbus || modbus_connect(modbus)) return 1;
    double time = atof(arguments[2]), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), begun = seconds(CLOCK_MONOTONIC);
    unsigned long readings = 0;
    volatile unsigned sum = 0;
    for (int next = 0; seconds(CLOCK_MONOTONIC) - begun < time; next = (next + 1) % length) {
        uint16_t words[MODBUS_MAX_READ_REGISTERS];
        int *request = requests[next];
        modbus_set_slave(modbus, request[0]);
        if (modbus_read_registers(modbus, request[1], request[2], words) != request[2]) return 1;
        for (int word = 0; word < request[2]; word++) sum += words[word];
        readings += request[3];
    }
    printf("%lu %f %f\n", readings, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, seconds(CLOCK_MONOTONIC) - begun);
    modbus_close(modbus);
    return 0;
}
