# SPDX-License-Identifier: Apache-2.0
# Which page is written or checked when: the first filling, the sweep that rewrites, the pass that only checks.

# Before generation 0 the page at position p carries generation p - length, as if one sweep had gone before.
fill_slice:
    xor ecx, ecx
1:  push rcx
    lea rdi, [r12 + rcx]
    push rdi
    call fill_page
    pop rdi
    mov rsi, [rsp]
    sub rsi, r13
    call stamp_page
    pop rcx
    inc rcx
    cmp rcx, r13
    jb 1b
    ret

# → rax = record of this vCPU in the parameter page.
.macro vcpu_record
    mov rax, r15
    imul rax, rax, VCPU_RECORD_SIZE
    add rax, PARAMETER_ADDRESS + PARAM_VCPU_TABLE
.endm

fill_static_part:
    vcpu_record
    mov rdi, [rax + VCPU_STATIC_FIRST]
    mov rcx, [rax + VCPU_STATIC_LENGTH]
    test rcx, rcx
    jz 2f
1:  push rcx
    push rdi
    call write_static_page
    pop rdi
    pop rcx
    inc rdi
    dec rcx
    jnz 1b
2:  ret

# Writes what block page rdi outside the working set must contain.
write_static_page:
    mov eax, edi
    and eax, ZERO_PAGE_MASK
    cmp eax, ZERO_PAGE_MASK
    jne fill_page
    page_address
    xor eax, eax
    mov ecx, PAGE_SIZE / 8
    rep stosq
    ret

# Rewrites as many pages as the rate owes this batch.
rewrite_due_pages:
    mov eax, [r11 + PRIVATE_REWRITE_FRACTION]
    add rax, [PARAMETER_ADDRESS + PARAM_REWRITES_PER_BATCH]
    mov [r11 + PRIVATE_REWRITE_FRACTION], eax
    shr rax, 32
    jz 2f
1:  push rax
    call rewrite_next_page
    pop rax
    dec rax
    jnz 1b
2:  ret

# Checks the page at the position against the generation of one sweep ago and stamps it with the present one.
rewrite_next_page:
    lea rdi, [r12 + rbp]
    mov rsi, rbx
    sub rsi, r13
    test dword ptr [PARAMETER_ADDRESS + PARAM_FLAGS], FLAG_FULL_FILLER
    jz 1f
    call check_stamped_page
    jmp 2f
1:  call check_stamps
    test rax, rax
    jnz 2f
    mov ecx, [r11 + PRIVATE_SPAN]
    call check_filler_span
2:  test rax, rax
    jz 3f
    push rdi
    call report_page
    mov rdi, [rsp]
    call fill_page
    pop rdi
3:  mov rsi, rbx
    call stamp_page
    inc rbx
    inc rbp
    cmp rbp, r13
    jb 5f
    xor ebp, ebp
    mov eax, [r11 + PRIVATE_SPAN]
    inc eax
    cmp eax, 3
    jb 4f
    xor eax, eax
4:  mov [r11 + PRIVATE_SPAN], eax
5:  ret

# Checks as many pages as the check pass owes this batch.
check_due_pages:
    mov eax, [r11 + PRIVATE_CHECK_FRACTION]
    add rax, [PARAMETER_ADDRESS + PARAM_CHECKS_PER_BATCH]
    mov [r11 + PRIVATE_CHECK_FRACTION], eax
    shr rax, 32
    jz 2f
1:  push rax
    call check_next_page
    pop rax
    dec rax
    jnz 1b
2:  ret

# → rsi = pages in a check pass of this vCPU, rax = its record.
.macro check_pass_length
    vcpu_record
    mov rsi, [rax + VCPU_STATIC_LENGTH]
    test dword ptr [PARAMETER_ADDRESS + PARAM_FLAGS], FLAG_CHECK_SLICE
    jz 100f
    add rsi, r13
100:
.endm

# The check pass: the static part, then the slice where the sweep alone would take long to come round.
check_next_page:
    check_pass_length
    mov rcx, [r11 + PRIVATE_CHECK_CURSOR]
    cmp rcx, rsi
    jae 2f
    cmp rcx, [rax + VCPU_STATIC_LENGTH]
    jae 1f
    mov rdi, [rax + VCPU_STATIC_FIRST]
    add rdi, rcx
    call check_static_page
    jmp 2f
1:  sub rcx, [rax + VCPU_STATIC_LENGTH]
    call check_slice_page
2:  inc qword ptr [r11 + PRIVATE_CHECK_CURSOR]
    check_pass_length
    cmp [r11 + PRIVATE_CHECK_CURSOR], rsi
    jb 3f
    mov qword ptr [r11 + PRIVATE_CHECK_CURSOR], 0
    inc qword ptr [r11 + PRIVATE_CHECK_PASSES]
3:  ret

# Checks block page rdi outside the working set; reports and repairs it.
check_static_page:
    push rdi
    mov eax, edi
    and eax, ZERO_PAGE_MASK
    cmp eax, ZERO_PAGE_MASK
    je 1f
    call check_filler_page
    jmp 2f
1:  call check_zero_page
2:  pop rdi
    test rax, rax
    jz 3f
    push rdi
    call report_page
    pop rdi
    jmp write_static_page
3:  ret

# Checks the page at position rcx of the slice without rewriting it. Positions before the sweep's carry generations of
# this sweep, the others those of the sweep before.
check_slice_page:
    lea rdi, [r12 + rcx]
    mov rsi, rbx
    sub rsi, rbp
    add rsi, rcx
    cmp rcx, rbp
    jb 1f
    sub rsi, r13
1:  call check_stamped_page
    test rax, rax
    jz 2f
    push rsi
    push rdi
    call report_page
    mov rdi, [rsp]
    call fill_page
    pop rdi
    pop rsi
    jmp stamp_page
2:  ret
