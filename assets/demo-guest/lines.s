# SPDX-License-Identifier: Apache-2.0
# The guest's lines. They are built at PRIVATE_LINE with rdi as the end of the text so far.

# Appends the string \text.
.macro put_text text
    lea rsi, [rip + 200f]
    call put_string
    .section .rodata
200: .asciz "\text"
    .text
.endm

# Appends the string at rsi.
put_string:
    lodsb
    test al, al
    jz 1f
    stosb
    jmp put_string
1:  ret

# Appends rax in decimal.
put_decimal:
    mov ecx, 10
    jmp put_number

# Appends rax in hexadecimal.
put_hexadecimal:
    mov ecx, 16
put_number:
    xor r8d, r8d
1:  xor edx, edx
    div rcx
    push rdx
    inc r8d
    test rax, rax
    jnz 1b
2:  pop rax
    add al, '0'
    cmp al, '9'
    jbe 3f
    add al, 'a' - '0' - 10
3:  stosb
    dec r8d
    jnz 2b
    ret

print_banner:
    call take_serial_lock
    lea rdi, [r11 + PRIVATE_LINE]
    put_text "demo guest: "
    mov eax, [PARAMETER_ADDRESS + PARAM_VCPUS]
    call put_decimal
    put_text " vcpus, "
    mov rax, [PARAMETER_ADDRESS + PARAM_WORKING_SET_PAGES]
    call put_decimal
    put_text " pages, seed "
    mov rax, r14
    call put_hexadecimal
    put_text "\n"
    jmp send_line

# Prints the heartbeat line → eax = 1, or 0 when another vCPU has the serial port. After eight intervals of waiting the
# line takes the port by force.
print_heartbeat:
    mov eax, [PARAMETER_ADDRESS + PARAM_BATCHES_PER_TICK]
    shl eax, 3
    cmp [r11 + PRIVATE_DEFERRED], eax
    jae 1f
    call try_serial_lock
    test eax, eax
    jnz 2f
    ret
1:  call take_serial_lock
2:  lea rdi, [r11 + PRIVATE_LINE]
    put_text "cpu="
    mov rax, r15
    call put_decimal
    put_text " gen="
    mov rax, rbx
    call put_decimal
    put_text " sweep="
    mov rax, rbx
    xor edx, edx
    div r13
    call put_decimal
    put_text " static="
    mov rax, [r11 + PRIVATE_CHECK_PASSES]
    call put_decimal
    put_text "\n"
    call send_line
    mov eax, 1
    ret

# Counts a CORRUPT line → carry set while it may be printed.
count_report:
    mov eax, [r11 + PRIVATE_REPORTS]
    cmp eax, REPORT_LIMIT
    jae 1f
    inc eax
    mov [r11 + PRIVATE_REPORTS], eax
    stc
    ret
1:  clc
    ret

# Reports block page rdi.
report_page:
    call count_report
    jnc 1f
    push rdi
    call take_serial_lock
    lea rdi, [r11 + PRIVATE_LINE]
    put_text "CORRUPT page="
    pop rax
    call put_decimal
    put_text " cpu="
    mov rax, r15
    call put_decimal
    put_text " gen="
    mov rax, rbx
    call put_decimal
    put_text "\n"
    call send_line
1:  ret

# Reports the register named by the string at rsi, followed by the number ecx unless that is negative.
report_register:
    call count_report
    jnc 2f
    push rcx
    push rsi
    call take_serial_lock
    lea rdi, [r11 + PRIVATE_LINE]
    put_text "CORRUPT reg="
    pop rsi
    call put_string
    pop rax
    test eax, eax
    js 1f
    call put_decimal
1:  put_text " cpu="
    mov rax, r15
    call put_decimal
    put_text "\n"
    call send_line
2:  ret
