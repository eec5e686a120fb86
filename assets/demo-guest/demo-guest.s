# SPDX-License-Identifier: Apache-2.0
# The demo guest: every vCPU keeps rewriting its slice of the working set, checks all that it wrote before, and says so.
#
# Each vCPU starts at `entry` in 64-bit mode, CPL 0, interrupts off, with RDI = its index, RSI = PARAMETER_ADDRESS,
# RSP = the end of its private page. It goes to CPL 3 at once and stays there, except for the service trap that reads
# and writes privileged registers: some KVMs run CPL 3 at full speed but emulate CPL 0 one instruction at a time. The
# IDT has no other gate: any fault ends in a triple fault, which the machine reports as a crash.
#
# Registers that hold the same thing everywhere:
#   rbx  generation: pages of the slice that this vCPU has rewritten so far
#   rbp  position in the slice of the next page to rewrite
#   r10  batch number
#   r11  private page
#   r12  first block page of the slice
#   r13  length of the slice in pages
#   r14  seed
#   r15  vCPU index
# All others are scratch. What a page or a register must contain derives from these alone, never from memory.
.intel_syntax noprefix
.code64
.include "layout.inc"

.text
.global entry
entry:
    jmp start
    .org SERVICE_ADDRESS - CODE_ADDRESS
.include "privileged.s"

# CPL 3 from here on. The pages of this vCPU are written, then it waits for the others.
run:
    call reset_private_page
    call stagger_ticks
    test r15, r15
    jnz 1f
    call set_up_serial
    call print_banner
1:  call load_canaries
    call fill_slice
    call fill_static_part
    call wait_for_all
    call note_batch

# One turn per batch. The OUT to the pace port is the heartbeat; the host lets it return when the next batch is due.
batch:
    mov eax, ebx
    mov edx, PACE_PORT
    out dx, eax
    call check_own_pages
    inc r10
    call rewrite_due_pages
    call check_due_pages
    dec dword ptr [r11 + PRIVATE_TICK]
    jg 1f
    call tick
1:  call note_batch
    jmp batch

# Ten times a second: registers and fixed pages are checked and a line is printed. The line waits for a later batch
# while another vCPU has the serial port.
tick:
    cmp dword ptr [r11 + PRIVATE_DEFERRED], 0
    jne 1f
    call check_canaries
    test r15, r15
    jnz 1f
    call check_fixed_pages
1:  call print_heartbeat
    test eax, eax
    jz 2f
    mov eax, [PARAMETER_ADDRESS + PARAM_BATCHES_PER_TICK]
    sub eax, [r11 + PRIVATE_DEFERRED]
    mov [r11 + PRIVATE_TICK], eax
    mov dword ptr [r11 + PRIVATE_DEFERRED], 0
    ret
2:  inc dword ptr [r11 + PRIVATE_DEFERRED]
    mov dword ptr [r11 + PRIVATE_TICK], 1
    ret

# Spreads the first ticks of the vCPUs over one tick interval.
stagger_ticks:
    lea rax, [r15 + 1]
    mov ecx, [PARAMETER_ADDRESS + PARAM_BATCHES_PER_TICK]
    imul rax, rcx
    xor edx, edx
    mov ecx, [PARAMETER_ADDRESS + PARAM_VCPUS]
    div rcx
    mov [r11 + PRIVATE_TICK], eax
    ret

# Waits until every vCPU has initialised its memory; gives up after some 2^34 pauses, since nobody depends on it.
wait_for_all:
    mov rdx, [PARAMETER_ADDRESS + PARAM_SHARED_ADDRESS]
    lock inc dword ptr [rdx + SHARED_READY]
    mov eax, [PARAMETER_ADDRESS + PARAM_VCPUS]
    movabs rcx, 0x400000000
1:  cmp [rdx + SHARED_READY], eax
    jae 2f
    pause
    dec rcx
    jnz 1b
2:  ret

.include "pages.s"
.include "sweep.s"
.include "own-pages.s"
.include "canaries.s"
.include "serial.s"
.include "lines.s"
