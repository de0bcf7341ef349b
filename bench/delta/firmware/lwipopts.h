/* lwIP without an operating system, with what a device of today uses of it. */
#define NO_SYS               1
#define LWIP_SOCKET          0
#define LWIP_NETCONN         0
#define LWIP_DHCP            1
#define LWIP_DNS             1
#define LWIP_IPV6            1
#define LWIP_RAW             1
#define LWIP_TCP             1
#define LWIP_IGMP            1
#define MEM_ALIGNMENT        4
#define SYS_LIGHTWEIGHT_PROT 0
