;; The guest of the benchmark (bench/guest.ts has it as bytes): checked reads and writes, and copies within its own memory.
(module
  (import "lpar_1" "read" (func $read (param f64 i32 i32) (result i32)))
  (import "lpar_1" "write" (func $write (param f64 i32 i32) (result i32)))
  ;; 64 places as f64 at 0, a buffer at 4096, and from 65536 what there is to copy.
  (memory (export "memory") 3)
  (func (export "read") (param $count i32) (param $length i32) (result i32)
    (local $at i32) (local $status i32)
    (loop $next
      (local.set $status (i32.or (local.get $status)
        (call $read (f64.load (local.get $at)) (i32.const 4096) (local.get $length))))
      (local.set $at (i32.and (i32.add (local.get $at) (i32.const 8)) (i32.const 511)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $status))
  (func (export "write") (param $count i32) (param $length i32) (result i32)
    (local $at i32) (local $status i32)
    (loop $next
      (local.set $status (i32.or (local.get $status)
        (call $write (f64.load (local.get $at)) (i32.const 4096) (local.get $length))))
      (local.set $at (i32.and (i32.add (local.get $at) (i32.const 8)) (i32.const 511)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $status))
  (func (export "copyIn") (param $count i32) (param $length i32) (result i32)
    (local $at i32)
    (loop $next
      (memory.copy
        (i32.const 4096)
        (i32.add (i32.const 65536) (i32.trunc_f64_u (f64.load (local.get $at))))
        (local.get $length))
      (local.set $at (i32.and (i32.add (local.get $at) (i32.const 8)) (i32.const 511)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (i32.const 0))
  (func (export "copyOut") (param $count i32) (param $length i32) (result i32)
    (local $at i32)
    (loop $next
      (memory.copy
        (i32.add (i32.const 65536) (i32.trunc_f64_u (f64.load (local.get $at))))
        (i32.const 4096)
        (local.get $length))
      (local.set $at (i32.and (i32.add (local.get $at) (i32.const 8)) (i32.const 511)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (i32.const 0)))
