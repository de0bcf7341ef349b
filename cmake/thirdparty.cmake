# Third-party C, built from trees outside of this repository. Each tree is found at the variable
# that tools/setup/thirdparty.txt names for it (CMake or environment), else where tools/setup/
# thirdparty.sh puts it. Warnings are off here, and so is UBSan: BearSSL reads unaligned words on
# machines that can.
if(DEFINED ENV{KEDGE_DEPS})
    set(kedge_deps $ENV{KEDGE_DEPS})
else()
    set(kedge_deps $ENV{HOME}/.cache/kedge)
endif()

# kedge_root(VARIABLE FILE): sets VARIABLE to the tree's folder, in which FILE must lie.
function(kedge_root variable file)
    file(STRINGS ${CMAKE_SOURCE_DIR}/tools/setup/thirdparty.txt row REGEX "^[^#]* ${variable} ")
    string(REGEX REPLACE " +" ";" row "${row}")
    list(GET row 2 folder)
    if(DEFINED ENV{${variable}})
        set(root $ENV{${variable}})
    elseif(DEFINED ${variable})
        set(root ${${variable}})
    else()
        set(root ${kedge_deps}/${folder})
    endif()
    if(NOT EXISTS ${root}/${file})
        message(FATAL_ERROR "${variable}: no ${root}/${file}; run tools/setup/setup.sh build")
    endif()
    set(${variable} ${root} PARENT_SCOPE)
endfunction()

function(kedge_thirdparty name)
    add_library(${name} STATIC EXCLUDE_FROM_ALL ${ARGN})
    target_compile_options(${name} PRIVATE -w -fno-sanitize=undefined)
    set_target_properties(${name} PROPERTIES C_EXTENSIONS ON)
endfunction()

kedge_root(BEARSSL_ROOT inc/bearssl.h)
file(GLOB_RECURSE bearssl ${BEARSSL_ROOT}/src/*.c)
list(FILTER bearssl EXCLUDE REGEX "/src/(ssl|x509)/")
# Many algorithms are there several times; what is for other machines than ours is not built.
list(FILTER bearssl EXCLUDE REGEX "x86ni|pwr8|sse2|pclmul|_ct64|/des_|i15|i32_[^d]|i62|m15|m62|m64")
kedge_thirdparty(tp_bearssl ${bearssl})
target_include_directories(tp_bearssl SYSTEM PUBLIC ${BEARSSL_ROOT}/inc PRIVATE ${BEARSSL_ROOT}/src)
# No seeding from the operating system: a port hands randomness in.
target_compile_definitions(tp_bearssl PRIVATE BR_USE_URANDOM=0 BR_USE_GETENTROPY=0 BR_USE_WIN32_RAND=0
    BR_USE_UNIX_TIME=0 BR_USE_WIN32_TIME=0 BR_RDRAND=0)

kedge_root(MBEDTLS_ROOT 3rdparty/p256-m/p256-m/p256-m.c)
set(p256m ${MBEDTLS_ROOT}/3rdparty/p256-m/p256-m)
# p256m_joint.c includes p256-m.c, which is a part of Mbed TLS there and is empty unless these say that it
# is wanted. Signing and key generation need a random source; a loader calls neither, so the linker drops
# them. kedge_p256m(NAME TYPE SOURCES...)
function(kedge_p256m name type)
    add_library(${name} ${type} EXCLUDE_FROM_ALL ports/thirdparty/p256m_joint.c ${ARGN})
    target_include_directories(${name} SYSTEM PUBLIC ${p256m} ${MBEDTLS_ROOT}/include ports/thirdparty
        PRIVATE ${MBEDTLS_ROOT}/library)
    target_compile_definitions(${name} PRIVATE
        MBEDTLS_CONFIG_FILE="${CMAKE_SOURCE_DIR}/ports/thirdparty/mbedtls_config.h" MBEDTLS_PSA_P256M_DRIVER_ENABLED)
    target_compile_options(${name} PRIVATE -w -fno-sanitize=undefined -ffunction-sections)
    set_target_properties(${name} PROPERTIES C_EXTENSIONS ON)
endfunction()
kedge_p256m(tp_p256m STATIC ports/thirdparty/p256m_zeroize.c ports/thirdparty/p256m_random.c)
target_link_options(tp_p256m INTERFACE -Wl,--gc-sections)

kedge_root(MONOCYPHER_ROOT src/monocypher.c)
# With three of its lines changed, in a copy: a square is a product (900 bytes less), and the tables of a
# verification have one and four points instead of two and eight (480 bytes, and 160 of stack). A
# signature takes a third longer, which is a fiftieth of a boot.
set(monocypher ${CMAKE_BINARY_DIR}/generated/monocypher.c)
add_custom_command(OUTPUT ${monocypher} DEPENDS ${MONOCYPHER_ROOT}/src/monocypher.c cmake/monocypher.cmake
    COMMAND ${CMAKE_COMMAND} -DIN=${MONOCYPHER_ROOT}/src/monocypher.c -DOUT=${monocypher}
            -P ${CMAKE_SOURCE_DIR}/cmake/monocypher.cmake)
kedge_thirdparty(tp_monocypher ${monocypher} ${MONOCYPHER_ROOT}/src/optional/monocypher-ed25519.c)
target_include_directories(tp_monocypher SYSTEM PUBLIC ${MONOCYPHER_ROOT}/src ${MONOCYPHER_ROOT}/src/optional)

kedge_root(ZCBOR_ROOT src/zcbor_decode.c)
kedge_thirdparty(tp_zcbor ${ZCBOR_ROOT}/src/zcbor_common.c ${ZCBOR_ROOT}/src/zcbor_decode.c
    ${ZCBOR_ROOT}/src/zcbor_encode.c)
target_include_directories(tp_zcbor SYSTEM PUBLIC ${ZCBOR_ROOT}/include)

# NimBLE's host, without a controller and without an operating system (ports/nimble has what takes
# their places). Whoever uses it says which roles by a definition: see ports/nimble/nimble_config.h.
kedge_root(NIMBLE_ROOT nimble/host/src/ble_hs.c)
file(GLOB nimble ${NIMBLE_ROOT}/nimble/host/src/*.c ${NIMBLE_ROOT}/nimble/host/services/gap/src/*.c
    ${NIMBLE_ROOT}/nimble/host/services/gatt/src/*.c
    ${NIMBLE_ROOT}/porting/nimble/src/os_m*.c ${NIMBLE_ROOT}/porting/nimble/src/mem.c
    ${NIMBLE_ROOT}/porting/nimble/src/endian.c ${NIMBLE_ROOT}/nimble/transport/src/transport.c)
list(FILTER nimble EXCLUDE REGEX "/ble_(gatts_lcl|eddystone|ibeacon)\\.c$")
foreach(part aes_encrypt cmac_mode ecc ecc_dh utils)
    list(APPEND nimble ${NIMBLE_ROOT}/ext/tinycrypt/src/${part}.c)
endforeach()
kedge_thirdparty(tp_nimble ${nimble})
target_include_directories(tp_nimble SYSTEM PUBLIC ports/nimble/include ${NIMBLE_ROOT}/nimble/include
    ${NIMBLE_ROOT}/nimble/host/include ${NIMBLE_ROOT}/nimble/host/services/gap/include
    ${NIMBLE_ROOT}/nimble/host/services/gatt/include ${NIMBLE_ROOT}/porting/nimble/include
    ${NIMBLE_ROOT}/ext/tinycrypt/include ${NIMBLE_ROOT}/nimble/transport/include)
target_compile_options(tp_nimble PUBLIC -include ${CMAKE_SOURCE_DIR}/ports/nimble/nimble_config.h
    PRIVATE -ffunction-sections -fdata-sections)
# From 1.5 on NimBLE has a transport layer of its own.
if(EXISTS ${NIMBLE_ROOT}/nimble/transport/include/nimble/transport.h)
    target_compile_definitions(tp_nimble PUBLIC KEDGE_NIMBLE_TRANSPORT)
endif()
