# The loaders of `make size`, in three builds that differ in their signature: small (p256-m), fast
# (micro-ecc with ARM assembly), ed25519 (Monocypher). Each twice: for the nRF52840, whose bytes are
# counted, and for QEMU's mps2-an386, where the same objects run and are measured.
kedge_root(MICROECC_ROOT uECC.c)
kedge_thirdparty(tp_microecc ${MICROECC_ROOT}/uECC.c)
target_include_directories(tp_microecc SYSTEM PUBLIC ${MICROECC_ROOT})
target_compile_definitions(tp_microecc PRIVATE uECC_OPTIMIZATION_LEVEL=3
    uECC_SUPPORTS_secp160r1=0 uECC_SUPPORTS_secp192r1=0 uECC_SUPPORTS_secp224r1=0
    uECC_SUPPORTS_secp256k1=0 uECC_SUPPORT_COMPRESSED_POINT=0)

# What compilers call by themselves must not be optimised away with the rest of the program, nor be
# made of calls to itself.
add_library(cortex_m4 OBJECT ports/cortex-m4/startup.c ports/cortex-m4/memory.c)
target_include_directories(cortex_m4 PRIVATE include)
target_compile_options(cortex_m4 PRIVATE ${kedge_warnings} -ffreestanding -fno-lto
    -fno-tree-loop-distribute-patterns -fno-ivopts -fno-tree-scev-cprop)

# Where a loader spends its time, loops keep their constants in registers.
target_compile_options(tp_bearssl PRIVATE -fmove-loop-invariants -ftree-loop-im)
# An encrypted update is three passes of AES over the image: 15 M instructions less for 270 bytes.
set(aes ${BEARSSL_ROOT}/src/symcipher/aes_)
set_source_files_properties(${aes}ct.c ${aes}ct_enc.c ${aes}ct_ctr.c ${aes}big_enc.c ${aes}big_ctr.c
    PROPERTIES COMPILE_OPTIONS "-O2;-fmove-loop-invariants;-ftree-loop-im")
set_source_files_properties(src/base/crc32.c PROPERTIES COMPILE_OPTIONS "-fmove-loop-invariants;-ftree-loop-im")

# The core is freestanding, yet a port has these four functions: the compiler may know what they do.
target_compile_options(kedge PRIVATE -fbuiltin)

# kedge_loader(NAME PORT SOURCES... [SECRECY plain|ecies] LIBRARIES ...)
function(kedge_loader name port)
    cmake_parse_arguments(use "" "SECRECY" "LIBRARIES" ${ARGN})
    if(NOT use_SECRECY)
        set(use_SECRECY plain)
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ports/${port}/*.c)
    add_executable(${name} ${sources} ${use_UNPARSED_ARGUMENTS} $<TARGET_OBJECTS:cortex_m4>)
    target_include_directories(${name} PRIVATE ports/${port} ports/crypto ports/loader-key
        ports/loader-key/${use_SECRECY})
    target_compile_options(${name} PRIVATE ${kedge_warnings} -ffreestanding -fbuiltin)
    target_link_libraries(${name} PRIVATE kedge ${use_LIBRARIES} kedge)
    target_link_options(${name} PRIVATE -nostartfiles -nostdlib -Wl,--gc-sections -Wl,--sort-section=alignment
        -Wl,-Map=${CMAKE_BINARY_DIR}/${name}.map -L${CMAKE_SOURCE_DIR}/ports/cortex-m4
        -T${CMAKE_SOURCE_DIR}/ports/${port}/link.ld)
    target_link_libraries(${name} PRIVATE gcc)
    set_target_properties(${name} PROPERTIES SUFFIX .elf
        LINK_DEPENDS "${CMAKE_SOURCE_DIR}/ports/${port}/link.ld;${CMAKE_SOURCE_DIR}/ports/cortex-m4/sections.ld")
endfunction()

foreach(port nrf52840 mps2-an386)
    kedge_loader(${port}-small ${port} ports/loader-key/p256.c)
    kedge_loader(${port}-fast ${port} ports/loader-key/p256_fast.c ports/crypto/ecdsa_p256_fast.c
        LIBRARIES tp_microecc)
    kedge_loader(${port}-ed25519 ${port} ports/loader-key/ed25519.c)
    kedge_loader(${port}-ecies ${port} ports/loader-key/p256.c ports/loader-key/ecies/strategy.c SECRECY ecies)
    kedge_loader(${port}-ecies-fast ${port} ports/loader-key/p256_fast.c ports/crypto/ecdsa_p256_fast.c
        ports/loader-key/ecies-fast/strategy.c ports/crypto/wrap_p256_fast.c SECRECY ecies
        LIBRARIES tp_microecc)
endforeach()
