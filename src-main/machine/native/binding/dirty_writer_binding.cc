// SPDX-License-Identifier: Apache-2.0
#include "binding/dirty_writer_binding.h"

#include <utility>

#include "binding/memory_binding.h"
#include "binding/support.h"
#include "core/memory/dirty_writer.h"

namespace godwit::binding {
namespace {

class DirtyWriterBinding : public Napi::ObjectWrap<DirtyWriterBinding> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "DirtyWriter",
                       {
                           InstanceMethod<&DirtyWriterBinding::start>("start"),
                           InstanceMethod<&DirtyWriterBinding::stop>("stop"),
                           InstanceMethod<&DirtyWriterBinding::close>("close"),
                           InstanceAccessor<&DirtyWriterBinding::pages_written>("pagesWritten"),
                       });
  }

  explicit DirtyWriterBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DirtyWriterBinding>(info) {
    std::shared_ptr<GuestMemory> memory = memory_of(info[0]);
    if (!memory) {
      throw_form(info.Env(), "memory: GuestMemory, not closed");
      return;
    }
    writer_ = std::make_shared<DirtyWriter>(std::move(memory));
    hook_ = Bridge::of(info.Env())->at_exit([held = writer_] { held->close(); });
  }

 private:
  Napi::Value start(const Napi::CallbackInfo& info) {
    DirtyLoad load;
    const Napi::Object options = info[0].IsObject() ? info[0].As<Napi::Object>() : Napi::Object::New(info.Env());
    if (!to_size(options.Get("pagesPerSecond"), load.pages_per_second) ||
        !to_size(options.Get("workingSetBytes"), load.working_set) || !to_u64(options.Get("seed"), load.seed)) {
      return throw_form(info.Env(), "start({ pagesPerSecond: number, workingSetBytes: number, seed: bigint })");
    }
    const Status started = writer_->start(load);
    return started ? info.Env().Undefined() : throw_failure(info.Env(), started.failure());
  }

  Napi::Value stop(const Napi::CallbackInfo& info) {
    auto [promise, completion] = begin_async(info.Env(), info.This());
    writer_->stop([done = std::move(completion)] { done(Unit{}); });
    return promise;
  }

  void close(const Napi::CallbackInfo&) {
    writer_->close();
    hook_.reset();
  }

  Napi::Value pages_written(const Napi::CallbackInfo& info) { return to_js(info.Env(), writer_->pages_written()); }

  std::shared_ptr<DirtyWriter> writer_;
  ExitHook hook_;
};

}  // namespace

void init_dirty_writer(Napi::Env env, Napi::Object exports) {
  exports.Set("DirtyWriter", DirtyWriterBinding::define(env));
}

}  // namespace godwit::binding
