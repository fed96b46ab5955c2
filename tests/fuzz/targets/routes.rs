#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| ecs_start_task::fuzz("routes", input));
