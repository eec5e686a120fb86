# SPDX-License-Identifier: Apache-2.0
# The serial port: a 16550 with its FIFO, polled, shared by the vCPUs under a lock in the shared page.

.equ SERIAL_FCR, SERIAL_PORT + 2
.equ SERIAL_LCR, SERIAL_PORT + 3
.equ SERIAL_LSR, SERIAL_PORT + 5
.equ LSR_READY, 0x20
.equ FIFO_BYTES, 16

set_up_serial:
    mov edx, SERIAL_LCR
    mov al, 0x03               # 8 data bits, no parity, 1 stop bit
    out dx, al
    mov edx, SERIAL_FCR
    mov al, 0x07               # FIFOs on and empty
    out dx, al
    ret

# Takes the serial port for this vCPU → eax = 1, or 0 when another one has it. Clobbers rdx and rcx.
try_serial_lock:
    mov rdx, [PARAMETER_ADDRESS + PARAM_SHARED_ADDRESS]
    lea ecx, [r15 + 1]
    xor eax, eax
    lock cmpxchg [rdx + SHARED_LOCK], ecx
    sete al
    movzx eax, al
    ret

# Waits for the serial port. A holder that has not let go after 2^22 pauses is taken for lost: mixed lines are better
# than none. Keeps rdi.
take_serial_lock:
    mov r8d, 0x400000
1:  call try_serial_lock
    test eax, eax
    jnz 2f
    pause
    dec r8d
    jnz 1b
    mov [rdx + SHARED_LOCK], ecx
2:  ret

# Gives the serial port back if it is still this vCPU's.
release_serial_lock:
    mov rdx, [PARAMETER_ADDRESS + PARAM_SHARED_ADDRESS]
    lea eax, [r15 + 1]
    xor ecx, ecx
    lock cmpxchg [rdx + SHARED_LOCK], ecx
    ret

# Sends the line built at PRIVATE_LINE up to rdi, a FIFO's worth at a time, and gives the port back. A port that is not
# ready after 2^20 looks loses the rest of the line.
send_line:
    lea rsi, [r11 + PRIVATE_LINE]
1:  mov ecx, 0x100000
2:  mov edx, SERIAL_LSR
    in al, dx
    test al, LSR_READY
    jnz 3f
    dec ecx
    jnz 2b
    jmp release_serial_lock
3:  mov ecx, FIFO_BYTES
    mov edx, SERIAL_PORT
4:  cmp rsi, rdi
    jae release_serial_lock
    lodsb
    out dx, al
    dec ecx
    jnz 4b
    jmp 1b
