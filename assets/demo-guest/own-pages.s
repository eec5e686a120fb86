# SPDX-License-Identifier: Apache-2.0
# The guest's own pages. Those that change carry the batch number of each vCPU, so that an old or empty one shows; those
# that never change carry checksums. Between batches, where a vCPU spends nearly all of its time, losing a private page
# is reported; in the middle of a batch it takes the stack along and ends in a crash.

# Starts the private page of this vCPU. Only rates and positions live there: losing them costs pace, not correctness.
reset_private_page:
    lea rdi, [r11 + PRIVATE_BATCH]
    xor eax, eax
    mov ecx, PRIVATE_LINE / 8
    rep stosq
    mov dword ptr [r11 + PRIVATE_TICK], 1
    ret

# → rax = where the shared page holds this vCPU's batch number.
.macro shared_batch
    mov rax, r15
    imul rax, rax, SHARED_BATCH_STRIDE
    add rax, SHARED_BATCHES
    add rax, [PARAMETER_ADDRESS + PARAM_SHARED_ADDRESS]
.endm

note_batch:
    mov [r11 + PRIVATE_BATCH], r10
    shared_batch
    mov [rax], r10
    ret

check_own_pages:
    cmp [r11 + PRIVATE_BATCH], r10
    je 1f
    push [r11 + PRIVATE_REPORTS]
    call reset_private_page
    pop rax
    and eax, 2 * REPORT_LIMIT - 1
    mov [r11 + PRIVATE_REPORTS], eax
    mov rdi, r11
    shr rdi, 12
    call report_page
1:  shared_batch
    cmp [rax], r10
    je 2f
    mov rdi, [PARAMETER_ADDRESS + PARAM_SHARED_ADDRESS]
    shr rdi, 12
    call report_page
2:  jmp note_batch

# Compares every fixed page with its checksum. A wrong one cannot be repaired from here.
check_fixed_pages:
    xor edi, edi
1:  cmp edi, [PARAMETER_ADDRESS + PARAM_FIXED_PAGES]
    jae 4f
    mov r9, [PARAMETER_ADDRESS + PARAM_CHECKSUMS + rdi * 8]
    mov ecx, PAGE_SIZE / 8
    cmp edi, PARAMETER_ADDRESS / PAGE_SIZE
    jne 2f
    mov r9, [PARAMETER_ADDRESS + PARAM_OWN_CHECKSUM]
    mov ecx, PARAM_OWN_CHECKSUM / 8
2:  call checksum_page
    cmp rax, r9
    je 3f
    push rdi
    call report_page
    pop rdi
3:  inc edi
    jmp 1b
4:  ret

# rdi = page, ecx = words → rax: h = rol((h ^ word) * odd, 23) over the words, from the constant of `mix_index`.
checksum_page:
    movabs rdx, 0x94d049bb133111eb
    movabs rax, 0x9e3779b97f4a7c15
    mov rsi, rdi
    shl rsi, 12
1:  xor rax, [rsi]
    imul rax, rdx
    rol rax, 23
    add rsi, 8
    dec ecx
    jnz 1b
    ret
