# Programs of boards with a console: a loader that says what it did, and an application that is the
# update agent, in three builds: one waits for a client to confirm it, one confirms itself, one
# crashes. ports/board is what they share.
set(board_shared flashes.c handover.c say.c startup.c strings.c)
list(TRANSFORM board_shared PREPEND ports/board/)

# kedge_board_program(NAME LINKERSCRIPT SOURCES... LIBRARIES ...)
function(kedge_board_program name script)
    cmake_parse_arguments(use "" "" "LIBRARIES" ${ARGN})
    get_filename_component(folder ${script} DIRECTORY)
    add_executable(${name} ${board_shared} ports/cortex-m4/memory.c
        ports/cortex-m4/sha256_round.c ${use_UNPARSED_ARGUMENTS})
    target_include_directories(${name} PRIVATE ports/board ports/loader-key ports/loader-key/plain ${folder})
    target_compile_options(${name} PRIVATE ${kedge_warnings} -ffreestanding -fbuiltin)
    target_link_libraries(${name} PRIVATE kedge ${use_LIBRARIES} kedge gcc)
    target_link_options(${name} PRIVATE -flto=auto -nostartfiles -nostdlib -Wl,--gc-sections -Wl,--sort-section=alignment
        -Wl,-Map=${CMAKE_BINARY_DIR}/${name}.map -L${CMAKE_SOURCE_DIR}/ports/cortex-m4 -L${CMAKE_SOURCE_DIR}/${folder}
        -T${CMAKE_SOURCE_DIR}/${script})
    set_target_properties(${name} PROPERTIES SUFFIX .elf
        LINK_DEPENDS "${CMAKE_SOURCE_DIR}/${script};${CMAKE_SOURCE_DIR}/ports/cortex-m4/sections.ld")
endfunction()
set_source_files_properties(ports/cortex-m4/memory.c ports/cortex-m4/sha256_round.c ports/board/startup.c ports/board/strings.c PROPERTIES COMPILE_OPTIONS
    "-fno-lto;-fno-tree-loop-distribute-patterns;-fno-ivopts;-fno-tree-scev-cprop")

# kedge_board_application(NAME LINKERSCRIPT SOURCES...): NAME-waits, NAME-confirms, NAME-crashes, each
# also as the .bin that `kedge sign` takes.
function(kedge_board_application name script)
    foreach(kind waits confirms crashes)
        kedge_board_program(${name}-${kind} ${script} ports/board/application.c ports/board/kind_${kind}.c
            ports/board/serve.c ports/loader-key/p256.c ${air} ${groups} ${ARGN})
        add_custom_command(TARGET ${name}-${kind} POST_BUILD
            COMMAND ${CMAKE_OBJCOPY} -O binary $<TARGET_FILE:${name}-${kind}> ${CMAKE_BINARY_DIR}/${name}-${kind}.bin)
    endforeach()
endfunction()

set(air ports/board/air_none.c)
set(groups ports/board/groups_all.c)
set(recover_smp ports/board/recover_smp.c ports/board/serve.c ports/board/groups_update.c)
set(ast1030 ports/qemu-ast1030/board.c ports/qemu-ast1030/smc.c ports/qemu-ast1030/controller_none.c)
kedge_board_program(qemu-ast1030-loader ports/qemu-ast1030/loader.ld ports/board/loader.c
    ports/loader-key/p256.c ${p256_fast} ${ast1030} ${recover_smp})
kedge_board_application(qemu-ast1030-application ports/qemu-ast1030/application.ld ${ast1030})
kedge_board_program(qemu-ast1030-cuts ports/qemu-ast1030/cuts.ld ports/qemu-ast1030/main_cuts.c
    ports/loader-key/p256.c ${p256_fast} ${ast1030})

kedge_board_program(qemu-ast1030-measure-fast ports/qemu-ast1030/loader.ld ports/qemu-ast1030/main_measure.c
    ports/loader-key/p256.c ${p256_fast} ${ast1030})
kedge_board_program(qemu-ast1030-measure-small ports/qemu-ast1030/loader.ld ports/qemu-ast1030/main_measure.c
    ports/loader-key/p256.c ${ast1030})
kedge_board_program(qemu-ast1030-measure-ecies ports/qemu-ast1030/loader.ld ports/qemu-ast1030/main_measure.c
    ports/loader-key/p256.c ports/loader-key/ecies/strategy.c ${ast1030})
target_include_directories(qemu-ast1030-measure-ecies BEFORE PRIVATE ports/loader-key/ecies)

# The same with BLE: NimBLE's host, and a controller on the board's second UART.
file(GLOB air CONFIGURE_DEPENDS ports/nimble/*.c)
list(FILTER air EXCLUDE REGEX "/(central|line_linux)\\.c$")
list(APPEND air ports/board/air_ble.c ports/board/nimble/ecc_p256m.c)
target_include_directories(tp_nimble BEFORE PRIVATE ports/board/nimble)
kedge_board_application(qemu-ast1030-ble ports/qemu-ast1030/application.ld ports/qemu-ast1030/board.c
    ports/qemu-ast1030/smc.c ports/qemu-ast1030/controller.c LIBRARIES tp_nimble)
set(groups ports/board/groups_update.c)
kedge_board_application(qemu-ast1030-ble-update ports/qemu-ast1030/application.ld ports/qemu-ast1030/board.c
    ports/qemu-ast1030/smc.c ports/qemu-ast1030/controller.c LIBRARIES tp_nimble)
foreach(kind waits confirms crashes)
    target_include_directories(qemu-ast1030-ble-${kind} PRIVATE ports/nimble)
    target_include_directories(qemu-ast1030-ble-update-${kind} PRIVATE ports/nimble)
endforeach()
set(groups ports/board/groups_all.c)
set(air ports/board/air_none.c)

set(nrf52840 ports/nrf52840/application/board.c ports/nrf52840/application/uarte.c ports/nrf52840/nvmc.c
    ports/nrf52840/spim.c)
kedge_board_program(nrf52840-loader ports/nrf52840/application/loader.ld ports/board/loader.c
    ports/loader-key/p256.c ${nrf52840} ports/board/recover_none.c)
kedge_board_program(nrf52840-loader-smp ports/nrf52840/application/loader.ld ports/board/loader.c
    ports/loader-key/p256.c ${nrf52840} ${recover_smp})
kedge_board_application(nrf52840-application ports/nrf52840/application/application.ld ${nrf52840})
foreach(program loader loader-smp application-waits application-confirms application-crashes)
    target_include_directories(nrf52840-${program} PRIVATE ports/nrf52840)
endforeach()

kedge_board_program(template-loader ports/template/loader.ld ports/board/loader.c ports/loader-key/p256.c
    ports/template/board.c ${recover_smp})
kedge_board_application(template-application ports/template/application.ld ports/template/board.c)

# The NVMC driver on QEMU's microbit, a Cortex-M0 with the same registers.
add_executable(microbit-nvmc ports/microbit/main_nvmc.c ports/nrf52840/nvmc.c ports/cortex-m4/memory.c
    src/base/bytes.c src/base/crc32.c src/flash/region.c src/log/journal.c src/boot/policy.c
    src/boot/policy_store.c)
target_include_directories(microbit-nvmc PRIVATE include src ports/microbit ports/nrf52840)
target_compile_options(microbit-nvmc PRIVATE ${kedge_warnings} -mcpu=cortex-m0 -ffreestanding -fno-lto
    -fno-tree-loop-distribute-patterns -include ${CMAKE_SOURCE_DIR}/ports/microbit/nrf51.h)
target_link_libraries(microbit-nvmc PRIVATE gcc)
target_link_options(microbit-nvmc PRIVATE -mcpu=cortex-m0 -nostartfiles -nostdlib -Wl,--gc-sections
    -L${CMAKE_SOURCE_DIR}/ports/cortex-m4 -T${CMAKE_SOURCE_DIR}/ports/microbit/link.ld)
set_target_properties(microbit-nvmc PROPERTIES SUFFIX .elf)

# What tests/qemu starts.
add_custom_target(boards DEPENDS qemu-ast1030-loader qemu-ast1030-cuts qemu-ast1030-application-waits
    qemu-ast1030-application-confirms qemu-ast1030-application-crashes qemu-ast1030-ble-waits microbit-nvmc)
