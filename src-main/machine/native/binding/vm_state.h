// SPDX-License-Identifier: Apache-2.0
// The state of vCPUs and of the serial port as JavaScript objects.
#pragma once

#include <napi.h>

#include "core/kvm/pacer.h"
#include "core/kvm/serial_port.h"
#include "core/kvm/vcpu_state.h"
#include "core/kvm/vm.h"

namespace godwit::binding {

inline constexpr const char* kVcpuStateForm =
    "VcpuState { regs: 144 bytes, sregs: 312, xsave: 4096 or more, xcrs: 392, debugregs: 128, events: 64, "
    "mpState: number, msrs: { index: number, value: bigint }[], tscKhz: number }";
inline constexpr const char* kSerialStateForm =
    "SerialState { divider: 0 to 65535, and rbr, ier, iir, lcr, mcr, lsr, msr, scr, fcr: 0 to 255 }";

Napi::Value vcpu_state_to_js(Napi::Env env, const VcpuState& state);
/// False for a wrong shape, a buffer of the wrong size included.
bool vcpu_state_from_js(const Napi::Value& value, VcpuState& state);

Napi::Value serial_state_to_js(Napi::Env env, const SerialState& state);
bool serial_state_from_js(const Napi::Value& value, SerialState& state);

Napi::Value heartbeats_to_js(Napi::Env env, const std::vector<Heartbeats>& heartbeats);
Napi::Value ring_counts_to_js(Napi::Env env, const std::vector<RingCounts>& rings);
Napi::Value crash_to_js(Napi::Env env, const VcpuCrash& crash);

bool slots_from_js(const Napi::Value& value, std::vector<MemorySlot>& slots);
bool cpuid_from_js(const Napi::Value& value, std::vector<kvm_cpuid_entry2>& entries);
bool msr_indices_from_js(const Napi::Value& value, std::vector<std::uint32_t>& indices);

}  // namespace godwit::binding
