// SPDX-License-Identifier: Apache-2.0
#include "binding/memory_binding.h"

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "binding/support.h"
#include "core/base/worker.h"

namespace godwit::binding {
namespace {

constexpr napi_type_tag kMemoryTag = {0x5d1f6a0be2c84f17, 0x93c70a8d4be6f251};
constexpr const char* kForm =
    "{ name: string, sizeBytes: number, hugePageBytes?: number, anonymous?: boolean }, whole numbers";
// Reads are for headers and pages; larger parts go to a file.
constexpr std::uint64_t kMaxRead = std::uint64_t{1} << 30;

Failure closed() { return Failure{EBADF, {}, "the guest memory is closed"}; }

/// A memory block and the thread that touches it. Shared by its JavaScript object and the exit hook.
class MemoryOnThread {
 public:
  explicit MemoryOnThread(std::shared_ptr<GuestMemory> memory)
      : memory_(std::move(memory)), worker_(std::make_unique<Worker>("guest-memory")) {}

  GuestMemory& memory() const { return *memory_; }
  const std::shared_ptr<GuestMemory>& shared() const { return memory_; }

  template <typename T>
  void run(const Completion<T>& done, std::function<Result<T>(GuestMemory&, const std::atomic<bool>&)> job) {
    std::lock_guard lock(mutex_);
    if (!worker_) return done(closed());
    worker_->post([this, done, job = std::move(job)] { done(job(*memory_, cancel_)); });
  }

  /// Cuts populating and dumping short and joins the thread; the memory lives on for who shares it.
  void close() {
    cancel_.store(true);
    std::unique_ptr<Worker> worker;  // joined outside the lock
    std::lock_guard lock(mutex_);
    worker = std::move(worker_);
  }

 private:
  const std::shared_ptr<GuestMemory> memory_;
  std::atomic<bool> cancel_{false};
  std::mutex mutex_;
  std::unique_ptr<Worker> worker_;
};

bool read_options(const Napi::Value& value, GuestMemoryOptions& options) {
  if (!value.IsObject()) return false;
  const Napi::Object object = value.As<Napi::Object>();
  return to_text(object.Get("name"), options.name) && to_size(object.Get("sizeBytes"), options.size) &&
         optional_property(object, "hugePageBytes", options.huge_page_size, to_size) &&
         optional_property(object, "anonymous", options.anonymous, to_flag);
}

class MemoryBinding : public Napi::ObjectWrap<MemoryBinding> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "GuestMemory",
                       {
                           InstanceAccessor<&MemoryBinding::name>("name"),
                           InstanceAccessor<&MemoryBinding::size_bytes>("sizeBytes"),
                           InstanceMethod<&MemoryBinding::populate>("populate"),
                           InstanceMethod<&MemoryBinding::write>("write"),
                           InstanceMethod<&MemoryBinding::read>("read"),
                           InstanceMethod<&MemoryBinding::dump>("dump"),
                           InstanceMethod<&MemoryBinding::discard>("discard"),
                           InstanceMethod<&MemoryBinding::close>("close"),
                       });
  }

  explicit MemoryBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<MemoryBinding>(info) {
    GuestMemoryOptions options;
    if (!read_options(info[0], options)) {
      throw_form(info.Env(), kForm);
      return;
    }
    Result<std::shared_ptr<GuestMemory>> memory = GuestMemory::create(options);
    if (!memory) {
      throw_failure(info.Env(), memory.failure());
      return;
    }
    name_ = options.name;
    size_ = options.size;
    target_ = std::make_shared<MemoryOnThread>(*std::move(memory));
    hook_ = Bridge::of(info.Env())->at_exit([target = target_] { target->close(); });
    napi_type_tag_object(info.Env(), info.This(), &kMemoryTag);
  }

  ~MemoryBinding() override { shut(); }

  std::shared_ptr<GuestMemory> memory() const { return target_ ? target_->shared() : nullptr; }

 private:
  // These two also answer after close().
  Napi::Value name(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), name_); }
  Napi::Value size_bytes(const Napi::CallbackInfo& info) { return to_js(info.Env(), size_); }

  Napi::Value populate(const Napi::CallbackInfo& info) {
    if (!target_) return rejected(info.Env(), closed());
    auto [promise, done] = begin_async(info.Env(), info.This());
    target_->run<Unit>(
        done, [](GuestMemory& memory, const std::atomic<bool>& cancel) { return memory.populate(cancel); });
    return promise;
  }

  Napi::Value discard(const Napi::CallbackInfo& info) {
    if (!target_) return rejected(info.Env(), closed());
    auto [promise, done] = begin_async(info.Env(), info.This());
    target_->run<Unit>(done, [](GuestMemory& memory, const std::atomic<bool>&) { return memory.discard(); });
    return promise;
  }

  Napi::Value write(const Napi::CallbackInfo& info) {
    std::uint64_t offset = 0;
    std::span<const std::uint8_t> bytes;
    if (!to_size(info[0], offset) || !to_bytes(info[1], bytes)) {
      return throw_form(info.Env(), "write(offset: number, bytes: Uint8Array)");
    }
    if (!target_) return rejected(info.Env(), closed());
    if (bytes.size() > size_) return rejected(info.Env(), too_long());
    auto [promise, done] = begin_async(info.Env(), info.This());
    target_->run<Unit>(done, [offset, copy = std::vector<std::uint8_t>(bytes.begin(), bytes.end())](
                                 GuestMemory& memory, const std::atomic<bool>&) { return memory.write(offset, copy); });
    return promise;
  }

  Napi::Value read(const Napi::CallbackInfo& info) {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    if (!to_size(info[0], offset) || !to_size(info[1], length)) {
      return throw_form(info.Env(), "read(offset: number, length: number)");
    }
    if (!target_) return rejected(info.Env(), closed());
    if (length > size_ || length > kMaxRead) return rejected(info.Env(), too_long());
    using Bytes = std::vector<std::uint8_t>;
    auto [promise, done] = begin_async<Bytes>(
        info.Env(), info.This(), [](Napi::Env env, Bytes& bytes) { return to_js_buffer(env, bytes); });
    target_->run<Bytes>(done, [offset, length](GuestMemory& memory, const std::atomic<bool>&) -> Result<Bytes> {
      Bytes bytes(length);
      if (Status status = memory.read(offset, bytes); !status) return status.failure();
      return bytes;
    });
    return promise;
  }

  Napi::Value dump(const Napi::CallbackInfo& info) {
    std::string path;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    if (!to_text(info[0], path) || !to_size(info[1], offset) || !to_size(info[2], length)) {
      return throw_form(info.Env(), "dump(path: string, offset: number, length: number)");
    }
    if (!target_) return rejected(info.Env(), closed());
    auto [promise, done] = begin_async(info.Env(), info.This());
    target_->run<Unit>(done, [path, offset, length](GuestMemory& memory, const std::atomic<bool>& cancel) {
      return memory.dump(path, offset, length, cancel);
    });
    return promise;
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    shut();
    return info.Env().Undefined();
  }

  void shut() {
    hook_.reset();
    if (target_) target_->close();
    target_.reset();
  }

  Failure too_long() const {
    return Failure{ERANGE, {}, "that is longer than the memory block, or than one read may be (1 GiB): use dump()"};
  }

  std::string name_;
  std::uint64_t size_ = 0;
  std::shared_ptr<MemoryOnThread> target_;  // null after close()
  ExitHook hook_;
};

}  // namespace

void init_memory(Napi::Env env, Napi::Object exports) { exports.Set("GuestMemory", MemoryBinding::define(env)); }

std::shared_ptr<GuestMemory> memory_of(const Napi::Value& value) {
  if (value.IsEmpty() || !value.IsObject()) return nullptr;
  bool is_memory = false;
  napi_check_object_type_tag(value.Env(), value, &kMemoryTag, &is_memory);
  return is_memory ? MemoryBinding::Unwrap(value.As<Napi::Object>())->memory() : nullptr;
}

}  // namespace godwit::binding
