// SPDX-License-Identifier: Apache-2.0
#include "binding/vm_binding.h"

#include <fcntl.h>

#include <utility>
#include <vector>

#include "binding/memory_binding.h"
#include "binding/support.h"
#include "binding/vm_state.h"
#include "core/kvm/vm.h"

namespace godwit::binding {
namespace {

constexpr napi_type_tag kMachineTag = {0x7e1b35c09ad24f86, 0x2f80d6ba4c915e73};
constexpr const char* kForm =
    "{ memory: GuestMemory (open), slots: { guestAddress, offset, sizeBytes }[], vcpus: number, cpuid: CpuidEntry[], "
    "serialFd?: number, paceIntervalNs?: number, dirtyRingSize?: number, onCrash: function }, whole numbers";

Failure closed() { return Failure{EBADF, {}, "the machine is closed"}; }

/// Everything but onCrash and the serial descriptor.
bool read_options(const Napi::Object& object, VmOptions& options, std::uint32_t& serial_fd) {
  options.memory = memory_of(object.Get("memory"));
  std::uint32_t vcpus = 0;
  if (!options.memory || !to_u32(object.Get("vcpus"), vcpus)) return false;
  options.vcpus = vcpus;
  return slots_from_js(object.Get("slots"), options.slots) && cpuid_from_js(object.Get("cpuid"), options.cpuid) &&
         optional_property(object, "serialFd", serial_fd, to_u32) &&
         optional_property(object, "paceIntervalNs", options.pace_interval_ns, to_size) &&
         optional_property(object, "dirtyRingSize", options.dirty_ring_size, to_u32);
}

class VmBinding : public Napi::ObjectWrap<VmBinding> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "VirtualMachine",
                       {
                           InstanceAccessor<&VmBinding::vcpus>("vcpus"),
                           InstanceMethod<&VmBinding::start>("start"),
                           InstanceMethod<&VmBinding::stop>("stop"),
                           InstanceMethod<&VmBinding::get_vcpu_state>("getVcpuState"),
                           InstanceMethod<&VmBinding::set_vcpu_state>("setVcpuState"),
                           InstanceMethod<&VmBinding::serial_state>("serialState"),
                           InstanceMethod<&VmBinding::set_serial_state>("setSerialState"),
                           InstanceMethod<&VmBinding::serial_tail>("serialTail"),
                           InstanceMethod<&VmBinding::thread_ids>("threadIds"),
                           InstanceMethod<&VmBinding::heartbeats>("heartbeats"),
                           InstanceMethod<&VmBinding::dirty_ring_counts>("dirtyRingCounts"),
                           InstanceMethod<&VmBinding::close>("close"),
                       });
  }

  explicit VmBinding(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<VmBinding>(info), bridge_(Bridge::of(info.Env())) {
    if (Status status = create(info); !status && !info.Env().IsExceptionPending()) {
      throw_failure(info.Env(), status.failure());
    }
  }

  ~VmBinding() override { shut(); }

  std::shared_ptr<DirtyTracker> tracker() const { return vm_ && !closing_ ? vm_->tracker() : nullptr; }

 private:
  Status create(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    constexpr std::uint32_t kNone = UINT32_MAX;
    VmOptions options;
    std::uint32_t serial_fd = kNone;
    const Napi::Value crash = info[0].IsObject() ? info[0].As<Napi::Object>().Get("onCrash") : env.Undefined();
    if (crash.IsEmpty() || !crash.IsFunction() || !read_options(info[0].As<Napi::Object>(), options, serial_fd)) {
      throw_form(env, kForm);
      return Failure::invalid("wrong form");
    }
    if (serial_fd != kNone) {
      options.serial.reset(::fcntl(static_cast<int>(serial_fd), F_DUPFD_CLOEXEC, 0));
      if (!options.serial) return Failure::from_errno("fcntl", "the serial port's descriptor cannot be used");
    }
    crash_ = bridge_->hold(crash.As<Napi::Object>());
    options.on_crash = [bridge = bridge_, callback = crash_](const VcpuCrash& what) {
      bridge->post([bridge = bridge.get(), callback, what](Napi::Env js) {
        const Napi::HandleScope scope(js);
        call_held(*bridge, js, callback, {crash_to_js(js, what)});
      });
    };
    const unsigned vcpus = options.vcpus;
    Result<std::shared_ptr<Vm>> vm = Vm::create(std::move(options));
    if (!vm) return std::move(vm).failure();
    vm_ = *std::move(vm);
    vcpus_ = vcpus;
    hook_ = bridge_->at_exit([held = vm_] { held->close(); });
    napi_type_tag_object(env, info.This(), &kMachineTag);
    return success();
  }

  /// The machine, or null with a pending exception.
  Vm* open(Napi::Env env) {
    if (vm_ && !closing_) return vm_.get();
    throw_failure(env, closed());
    return nullptr;
  }

  // Also answers after close().
  Napi::Value vcpus(const Napi::CallbackInfo& info) { return to_js(info.Env(), vcpus_); }

  Napi::Value start(const Napi::CallbackInfo& info) {
    Vm* const vm = open(info.Env());
    if (vm == nullptr) return info.Env().Undefined();
    const Status status = vm->start();
    return status ? info.Env().Undefined() : throw_failure(info.Env(), status.failure());
  }

  Napi::Value stop(const Napi::CallbackInfo& info) {
    if (!vm_ || closing_) return rejected(info.Env(), closed());
    auto [promise, done] = begin_async<double>(
        info.Env(), info.This(), [](Napi::Env env, double& ms) -> Napi::Value { return Napi::Number::New(env, ms); });
    vm_->stop(done);
    return promise;
  }

  Napi::Value get_vcpu_state(const Napi::CallbackInfo& info) {
    std::uint32_t index = 0;
    std::vector<std::uint32_t> msrs;
    if (!to_u32(info[0], index) || !msr_indices_from_js(info[1], msrs)) {
      return throw_form(info.Env(), "getVcpuState(index: number, msrs: number[])");
    }
    if (!vm_ || closing_) return rejected(info.Env(), closed());
    auto [promise, done] = begin_async<VcpuState>(
        info.Env(), info.This(), [](Napi::Env env, VcpuState& state) { return vcpu_state_to_js(env, state); });
    vm_->get_state(index, std::move(msrs), done);
    return promise;
  }

  Napi::Value set_vcpu_state(const Napi::CallbackInfo& info) {
    std::uint32_t index = 0;
    VcpuState state;
    if (!to_u32(info[0], index)) return throw_form(info.Env(), "setVcpuState(index: number, state: VcpuState)");
    if (!vcpu_state_from_js(info[1], state)) return throw_form(info.Env(), kVcpuStateForm);
    if (!vm_ || closing_) return rejected(info.Env(), closed());
    using Refused = std::vector<std::uint32_t>;
    auto [promise, done] =
        begin_async<Refused>(info.Env(), info.This(), [](Napi::Env env, Refused& refused) -> Napi::Value {
          const Napi::Array answer = Napi::Array::New(env, refused.size());
          for (std::uint32_t n = 0; n < refused.size(); ++n) answer.Set(n, to_js(env, refused[n]));
          return answer;
        });
    vm_->set_state(index, std::move(state), done);
    return promise;
  }

  Napi::Value serial_state(const Napi::CallbackInfo& info) {
    Vm* const vm = open(info.Env());
    return vm == nullptr ? info.Env().Undefined() : serial_state_to_js(info.Env(), vm->serial().state());
  }

  Napi::Value set_serial_state(const Napi::CallbackInfo& info) {
    SerialState state;
    if (!serial_state_from_js(info[0], state)) return throw_form(info.Env(), kSerialStateForm);
    if (Vm* const vm = open(info.Env())) vm->serial().set_state(state);
    return info.Env().Undefined();
  }

  Napi::Value serial_tail(const Napi::CallbackInfo& info) {
    Vm* const vm = open(info.Env());
    return vm == nullptr ? info.Env().Undefined() : to_js_buffer(info.Env(), vm->serial_output().tail());
  }

  Napi::Value thread_ids(const Napi::CallbackInfo& info) {
    Vm* const vm = open(info.Env());
    if (vm == nullptr) return info.Env().Undefined();
    const std::vector<pid_t> ids = vm->thread_ids();
    const Napi::Array answer = Napi::Array::New(info.Env(), ids.size());
    for (std::uint32_t n = 0; n < ids.size(); ++n) answer.Set(n, to_js(info.Env(), static_cast<std::uint64_t>(ids[n])));
    return answer;
  }

  Napi::Value heartbeats(const Napi::CallbackInfo& info) {
    Vm* const vm = open(info.Env());
    return vm == nullptr ? info.Env().Undefined() : heartbeats_to_js(info.Env(), vm->heartbeats());
  }

  Napi::Value dirty_ring_counts(const Napi::CallbackInfo& info) {
    Vm* const vm = open(info.Env());
    return vm == nullptr ? info.Env().Undefined() : ring_counts_to_js(info.Env(), vm->ring_counts());
  }

  /// Settles when all threads are joined. The object keeps its machine until then: a completion must not hold the last
  /// reference to it.
  Napi::Value close(const Napi::CallbackInfo& info) {
    if (!vm_) {
      const Napi::Promise::Deferred done = Napi::Promise::Deferred::New(info.Env());
      done.Resolve(info.Env().Undefined());
      return done.Promise();
    }
    closing_ = true;
    auto [promise, done] = begin_async<Unit>(info.Env(), info.This(), [this](Napi::Env env, Unit&) -> Napi::Value {
      shut();
      return env.Undefined();
    });
    vm_->close_async(done);
    return promise;
  }

  void shut() {
    hook_.reset();
    vm_.reset();  // stops and joins
    bridge_->release(std::exchange(crash_, 0));
  }

  const std::shared_ptr<Bridge> bridge_;
  std::shared_ptr<Vm> vm_;  // null when closed
  unsigned vcpus_ = 0;
  bool closing_ = false;
  HeldId crash_ = 0;
  ExitHook hook_;
};

}  // namespace

void init_vm(Napi::Env env, Napi::Object exports) { exports.Set("VirtualMachine", VmBinding::define(env)); }

std::shared_ptr<DirtyTracker> tracker_of(const Napi::Value& value) {
  if (value.IsEmpty() || !value.IsObject()) return nullptr;
  bool is_machine = false;
  napi_check_object_type_tag(value.Env(), value, &kMachineTag, &is_machine);
  return is_machine ? VmBinding::Unwrap(value.As<Napi::Object>())->tracker() : nullptr;
}

}  // namespace godwit::binding
