//! Takes chance and time away from this process, so that a seed decides everything in it.
//!
//! The C library's `getrandom`, `getentropy` and `clock_gettime` are replaced for this binary, and
//! for this binary only: hash maps, the runtime's fair choices, election time-outs and secrets all
//! draw from there in the end, and the HTTP/2 stack counts real time in a few places. Before
//! [`begin`] the replacements ask the kernel, as the originals do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What the simulated clock shows at the beginning: not zero, for the sake of subtractions.
const BEGINNING_NS: u64 = 1_000_000 * 1_000_000_000;

static SIMULATED: AtomicBool = AtomicBool::new(false);
static CHANCE: AtomicU64 = AtomicU64::new(0);
static CLOCK_NS: AtomicU64 = AtomicU64::new(BEGINNING_NS);

/// From now on all chance follows from `seed`, and time stands still until [`show`] moves it on.
pub(crate) fn begin(seed: u64) {
    CHANCE.store(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed, Ordering::SeqCst);
    SIMULATED.store(true, Ordering::SeqCst);
}

/// Sets the clock to so long after the beginning.
pub(crate) fn show(elapsed: Duration) {
    let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX / 2);
    CLOCK_NS.store(BEGINNING_NS + elapsed_ns, Ordering::SeqCst);
}

/// Ends this process after so many seconds of real time, should it hang.
pub(crate) fn end_within(seconds: u32) {
    // SAFETY: `alarm` has no preconditions; its signal is not handled and so ends the process.
    unsafe { libc::alarm(seconds) };
}

/// One step of SplitMix64.
fn draw() -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = CHANCE.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// # Safety
/// `buf` must point to `len` bytes that may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buf: *mut u8, len: usize, flags: u32) -> isize {
    if !SIMULATED.load(Ordering::SeqCst) {
        // SAFETY: the caller's promise is the kernel's precondition.
        return unsafe { libc::syscall(libc::SYS_getrandom, buf, len, flags) as isize };
    }
    // SAFETY: the caller promises that these bytes may be written.
    let buf =
        unsafe { std::slice::from_raw_parts_mut(buf.cast::<std::mem::MaybeUninit<u8>>(), len) };
    for chunk in buf.chunks_mut(8) {
        for (byte, drawn) in chunk.iter_mut().zip(draw().to_le_bytes()) {
            byte.write(drawn);
        }
    }
    isize::try_from(len).unwrap_or(isize::MAX)
}

/// # Safety
/// As [`getrandom`].
#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(buf: *mut u8, len: usize) -> libc::c_int {
    // SAFETY: the caller's promise is passed on.
    let filled = unsafe { getrandom(buf, len, 0) };
    if usize::try_from(filled) == Ok(len) { 0 } else { -1 }
}

/// # Safety
/// `time` must point to a `timespec` that may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    if !SIMULATED.load(Ordering::SeqCst) {
        // SAFETY: the caller's promise is the kernel's precondition.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as libc::c_int };
    }
    let now_ns = CLOCK_NS.load(Ordering::SeqCst);
    let now = libc::timespec {
        tv_sec: (now_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (now_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: the caller promises that it may be written.
    unsafe { time.write(now) };
    0
}
