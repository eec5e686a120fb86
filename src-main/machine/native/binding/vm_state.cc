// SPDX-License-Identifier: Apache-2.0
#include "binding/vm_state.h"

#include <cstring>

#include "binding/support.h"

namespace godwit::binding {
namespace {

// Lists from JavaScript are copied: no list of the machine's is anywhere near this long.
constexpr std::uint32_t kMaxList = 4096;
constexpr std::size_t kMaxXsave = 64 * 1024;

/// Calls `convert(value, element)` for each element of an array.
template <typename T>
bool list_from_js(const Napi::Value& value, std::vector<T>& out, bool (*convert)(const Napi::Value&, T&)) {
  if (!value.IsArray()) return false;
  const Napi::Array array = value.As<Napi::Array>();
  if (array.Length() > kMaxList) return false;
  out.clear();
  for (std::uint32_t n = 0; n < array.Length(); ++n) {
    T element{};
    const Napi::Value item = array.Get(n);
    if (item.IsEmpty() || !convert(item, element)) return false;
    out.push_back(element);
  }
  return true;
}

template <typename T>
Napi::Value struct_to_js(Napi::Env env, const T& value) {
  return Napi::Buffer<std::uint8_t>::Copy(env, reinterpret_cast<const std::uint8_t*>(&value), sizeof value);
}

template <typename T>
bool struct_from_js(const Napi::Object& object, const char* key, T& out) {
  std::span<const std::uint8_t> bytes;
  if (!to_bytes(object.Get(key), bytes) || bytes.size() != sizeof out) return false;
  std::memcpy(&out, bytes.data(), sizeof out);
  return true;
}

bool xsave_from_js(const Napi::Value& value, std::vector<std::uint8_t>& out) {
  std::span<const std::uint8_t> bytes;
  if (!to_bytes(value, bytes) || bytes.size() < 4096 || bytes.size() > kMaxXsave) return false;
  out.assign(bytes.begin(), bytes.end());
  return true;
}

bool msr_from_js(const Napi::Value& value, Msr& msr) {
  if (!value.IsObject()) return false;
  const Napi::Object object = value.As<Napi::Object>();
  return to_u32(object.Get("index"), msr.index) && to_u64(object.Get("value"), msr.value);
}

bool slot_from_js(const Napi::Value& value, MemorySlot& slot) {
  if (!value.IsObject()) return false;
  const Napi::Object object = value.As<Napi::Object>();
  return to_size(object.Get("guestAddress"), slot.guest_address) && to_size(object.Get("offset"), slot.offset) &&
         to_size(object.Get("sizeBytes"), slot.size);
}

bool cpuid_entry_from_js(const Napi::Value& value, kvm_cpuid_entry2& entry) {
  if (!value.IsObject()) return false;
  const Napi::Object object = value.As<Napi::Object>();
  return to_u32(object.Get("function"), entry.function) && to_u32(object.Get("index"), entry.index) &&
         to_u32(object.Get("flags"), entry.flags) && to_u32(object.Get("eax"), entry.eax) &&
         to_u32(object.Get("ebx"), entry.ebx) && to_u32(object.Get("ecx"), entry.ecx) &&
         to_u32(object.Get("edx"), entry.edx);
}

struct SerialRegister {
  const char* name;
  std::uint8_t SerialState::*member;
};

constexpr SerialRegister kSerialRegisters[] = {
    {"rbr", &SerialState::rbr}, {"ier", &SerialState::ier}, {"iir", &SerialState::iir},
    {"lcr", &SerialState::lcr}, {"mcr", &SerialState::mcr}, {"lsr", &SerialState::lsr},
    {"msr", &SerialState::msr}, {"scr", &SerialState::scr}, {"fcr", &SerialState::fcr},
};

}  // namespace

Napi::Value vcpu_state_to_js(Napi::Env env, const VcpuState& state) {
  const Napi::Array msrs = Napi::Array::New(env, state.msrs.size());
  for (std::uint32_t n = 0; n < state.msrs.size(); ++n) {
    const Napi::Object msr = Napi::Object::New(env);
    msr.Set("index", to_js(env, state.msrs[n].index));
    msr.Set("value", Napi::BigInt::New(env, state.msrs[n].value));
    msrs.Set(n, msr);
  }
  const Napi::Object object = Napi::Object::New(env);
  object.Set("regs", struct_to_js(env, state.regs));
  object.Set("sregs", struct_to_js(env, state.sregs));
  object.Set("xsave", to_js_buffer(env, state.xsave));
  object.Set("xcrs", struct_to_js(env, state.xcrs));
  object.Set("debugregs", struct_to_js(env, state.debugregs));
  object.Set("events", struct_to_js(env, state.events));
  object.Set("mpState", to_js(env, state.mp_state));
  object.Set("msrs", msrs);
  object.Set("tscKhz", to_js(env, state.tsc_khz));
  return object;
}

bool vcpu_state_from_js(const Napi::Value& value, VcpuState& state) {
  if (!value.IsObject()) return false;
  const Napi::Object object = value.As<Napi::Object>();
  return struct_from_js(object, "regs", state.regs) && struct_from_js(object, "sregs", state.sregs) &&
         xsave_from_js(object.Get("xsave"), state.xsave) && struct_from_js(object, "xcrs", state.xcrs) &&
         struct_from_js(object, "debugregs", state.debugregs) && struct_from_js(object, "events", state.events) &&
         to_u32(object.Get("mpState"), state.mp_state) && list_from_js(object.Get("msrs"), state.msrs, msr_from_js) &&
         to_u32(object.Get("tscKhz"), state.tsc_khz);
}

Napi::Value serial_state_to_js(Napi::Env env, const SerialState& state) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("divider", to_js(env, state.divider));
  for (const auto& [name, member] : kSerialRegisters) object.Set(name, to_js(env, state.*member));
  return object;
}

bool serial_state_from_js(const Napi::Value& value, SerialState& state) {
  if (!value.IsObject()) return false;
  const Napi::Object object = value.As<Napi::Object>();
  std::uint32_t number = 0;
  if (!to_u32(object.Get("divider"), number) || number > 0xffff) return false;
  state.divider = static_cast<std::uint16_t>(number);
  for (const auto& [name, member] : kSerialRegisters) {
    if (!to_u32(object.Get(name), number) || number > 0xff) return false;
    state.*member = static_cast<std::uint8_t>(number);
  }
  return true;
}

Napi::Value heartbeats_to_js(Napi::Env env, const std::vector<Heartbeats>& heartbeats) {
  const Napi::Array answer = Napi::Array::New(env, heartbeats.size());
  for (std::uint32_t n = 0; n < heartbeats.size(); ++n) {
    const Heartbeats& seen = heartbeats[n];
    const Napi::Object object = Napi::Object::New(env);
    object.Set("vcpu", to_js(env, n));
    object.Set("count", to_js(env, seen.count));
    object.Set("firstGeneration", Napi::BigInt::New(env, seen.first_generation));
    object.Set("generation", Napi::BigInt::New(env, seen.generation));
    object.Set("firstNs", Napi::BigInt::New(env, seen.first_ns));
    object.Set("lastNs", Napi::BigInt::New(env, seen.last_ns));
    object.Set("longestGapNs", Napi::BigInt::New(env, seen.longest_gap_ns));
    object.Set("longestGapEndNs", Napi::BigInt::New(env, seen.longest_gap_end_ns));
    answer.Set(n, object);
  }
  return answer;
}

Napi::Value ring_counts_to_js(Napi::Env env, const std::vector<RingCounts>& rings) {
  const Napi::Array answer = Napi::Array::New(env, rings.size());
  for (std::uint32_t n = 0; n < rings.size(); ++n) {
    const Napi::Object object = Napi::Object::New(env);
    object.Set("pages", to_js(env, rings[n].pages));
    object.Set("fullExits", to_js(env, rings[n].full_exits));
    answer.Set(n, object);
  }
  return answer;
}

Napi::Value crash_to_js(Napi::Env env, const VcpuCrash& crash) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("vcpu", to_js(env, crash.vcpu));
  object.Set("reason", Napi::String::New(env, crash.reason));
  object.Set("detail", Napi::String::New(env, crash.detail));
  return object;
}

bool slots_from_js(const Napi::Value& value, std::vector<MemorySlot>& slots) {
  return list_from_js(value, slots, slot_from_js);
}

bool cpuid_from_js(const Napi::Value& value, std::vector<kvm_cpuid_entry2>& entries) {
  return list_from_js(value, entries, cpuid_entry_from_js);
}

bool msr_indices_from_js(const Napi::Value& value, std::vector<std::uint32_t>& indices) {
  return list_from_js(value, indices, to_u32);
}

}  // namespace godwit::binding
