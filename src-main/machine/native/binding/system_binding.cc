// SPDX-License-Identifier: Apache-2.0
#include "binding/system_binding.h"

#include "binding/support.h"
#include "core/base/clock.h"
#include "core/kvm/kvm_system.h"
#include "core/memory/userfault_probe.h"
#include "core/pages/zero_scan.h"

namespace godwit::binding {
namespace {

Napi::Value supported_cpuid(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Result<KvmSystem> system = KvmSystem::open();
  if (!system) return throw_failure(env, system.failure());
  Result<std::vector<kvm_cpuid_entry2>> entries = system->supported_cpuid();
  if (!entries) return throw_failure(env, entries.failure());
  const Napi::Array answer = Napi::Array::New(env, entries->size());
  for (std::uint32_t n = 0; n < entries->size(); ++n) {
    const kvm_cpuid_entry2& entry = (*entries)[n];
    const Napi::Object object = Napi::Object::New(env);
    object.Set("function", to_js(env, entry.function));
    object.Set("index", to_js(env, entry.index));
    object.Set("flags", to_js(env, entry.flags));
    object.Set("eax", to_js(env, entry.eax));
    object.Set("ebx", to_js(env, entry.ebx));
    object.Set("ecx", to_js(env, entry.ecx));
    object.Set("edx", to_js(env, entry.edx));
    answer.Set(n, object);
  }
  return answer;
}

Napi::Value supported_msrs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Result<KvmSystem> system = KvmSystem::open();
  if (!system) return throw_failure(env, system.failure());
  Result<std::vector<std::uint32_t>> msrs = system->supported_msrs();
  if (!msrs) return throw_failure(env, msrs.failure());
  const Napi::Array answer = Napi::Array::New(env, msrs->size());
  for (std::uint32_t n = 0; n < msrs->size(); ++n) answer.Set(n, to_js(env, (*msrs)[n]));
  return answer;
}

Napi::Value monotonic(const Napi::CallbackInfo& info) { return Napi::BigInt::New(info.Env(), monotonic_ns()); }

void report_kvm(Napi::Env env, Napi::Object report) {
  Result<KvmSystem> system = KvmSystem::open();
  if (!system) {
    report.Set("kvm", env.Null());
    report.Set("kvmError", Napi::String::New(env, system.failure().message));
    return;
  }
  const Napi::Object capabilities = Napi::Object::New(env);
  for (const auto& [name, value] : system->capabilities()) capabilities.Set(name, Napi::Number::New(env, value));
  const Napi::Object kvm = Napi::Object::New(env);
  kvm.Set("apiVersion", Napi::Number::New(env, system->api_version()));
  kvm.Set("capabilities", capabilities);
  report.Set("kvm", kvm);
  report.Set("kvmError", env.Null());
}

void report_userfault(Napi::Env env, Napi::Object report) {
  Result<UserfaultSupport> support = probe_userfault();
  if (!support) {
    report.Set("userfaultfd", env.Null());
    report.Set("userfaultfdError", Napi::String::New(env, support.failure().message));
    return;
  }
  const Napi::Object object = Napi::Object::New(env);
  object.Set("features", Napi::BigInt::New(env, support->features));
  object.Set("through", Napi::String::New(env, support->through_device ? "device" : "syscall"));
  report.Set("userfaultfd", object);
  report.Set("userfaultfdError", env.Null());
}

Napi::Value probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object report = Napi::Object::New(env);
  report_kvm(env, report);
  report_userfault(env, report);
  report.Set("zeroScan", Napi::String::New(env, zero_scan_name()));
  return report;
}

}  // namespace

void init_system(Napi::Env env, Napi::Object exports) {
  exports.Set("supportedCpuid", Napi::Function::New<supported_cpuid>(env, "supportedCpuid"));
  exports.Set("supportedMsrs", Napi::Function::New<supported_msrs>(env, "supportedMsrs"));
  exports.Set("monotonicNs", Napi::Function::New<monotonic>(env, "monotonicNs"));
  exports.Set("probe", Napi::Function::New<probe>(env, "probe"));
}

}  // namespace godwit::binding
