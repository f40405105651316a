//! What is written into payloads.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_loop, bpf_skb_load_bytes, bpf_skb_store_bytes};
use chaos_abi::rewrite::{MAX_PATCH, MAX_WITHIN, Patch, Rewrite};
use chaos_ebpf::rewrite::sum_of_words;

use super::{CONTINUE, Page, STOP};

impl Page<'_> {
    /// Bytes at a place of the payload.
    #[inline(always)]
    pub(super) fn patch(&self, rewrite: &Rewrite) -> Option<()> {
        let at = usize::from(self.flow.payload) + rewrite.offset as usize;
        let mut before = Patch::default();
        self.load(at, &mut before, rewrite.patch_len)?;
        self.swap(at, &before, &rewrite.patch, rewrite.patch_len)
    }

    /// Bytes wherever they are.
    #[inline(always)]
    pub(super) fn replace(&self, rewrite: &'static Rewrite) -> bool {
        let mut search = Search {
            page: self,
            rewrite,
            skip: 0,
            found: false,
        };
        let positions = if rewrite.within < MAX_WITHIN {
            rewrite.within
        } else {
            MAX_WITHIN
        };
        // SAFETY: as above.
        unsafe {
            bpf_loop(
                positions,
                next_position as *mut c_void,
                (&raw mut search).cast(),
                0,
            );
        }
        search.found
    }

    /// The first bytes of a buffer. The length is between 1 and its size.
    #[inline(always)]
    fn load(&self, at: usize, to: &mut Patch, length: u32) -> Option<()> {
        if at + length as usize > self.end {
            return None;
        }
        // SAFETY: the buffer has so many bytes.
        let result = unsafe {
            bpf_skb_load_bytes(
                self.ctx.skb.skb.cast(),
                at as u32,
                to.as_mut_ptr().cast(),
                bounded(length),
            )
        };
        (result == 0).then_some(())
    }

    /// Writes the first bytes of a buffer over those that are there.
    #[inline(always)]
    fn swap(&self, at: usize, before: &Patch, after: &Patch, length: u32) -> Option<()> {
        let place = at - usize::from(self.flow.transport);
        let from = sum_of_words(before, place);
        let to = sum_of_words(after, place);
        // SAFETY: the buffer has so many bytes.
        let result = unsafe {
            bpf_skb_store_bytes(
                self.ctx.skb.skb,
                at as u32,
                after.as_ptr().cast(),
                bounded(length),
                0,
            )
        };
        if result != 0 {
            return None;
        }
        self.checksum(from, to, 0)
    }
}

/// A length that the verifier believes: 1 to [`MAX_PATCH`], of which it knows by the mask.
#[inline(always)]
const fn bounded(length: u32) -> u32 {
    (length.wrapping_sub(1) & (MAX_PATCH as u32 - 1)) + 1
}

/// Word by word: there is no function in the kernel that compares.
#[inline(always)]
fn is_same(one: &Patch, other: &Patch) -> bool {
    let mut differences = 0;
    let mut index = 0;
    while index < one.len() {
        differences |= one[index] ^ other[index];
        index += 1;
    }
    differences == 0
}

/// On the way through a payload.
struct Search<'a> {
    page: &'a Page<'a>,
    rewrite: &'static Rewrite,
    /// So many positions lie within what was just replaced.
    skip: u32,
    found: bool,
}

/// What `bpf_loop` calls for each position.
unsafe extern "C" fn next_position(index: u32, search: *mut c_void) -> i64 {
    // SAFETY: the caller gives its own state, which nothing else uses meanwhile.
    let search = unsafe { &mut *search.cast::<Search<'_>>() };
    if search.skip > 0 {
        search.skip -= 1;
        return CONTINUE;
    }
    let (page, rewrite) = (search.page, search.rewrite);
    if index + rewrite.old_len > rewrite.within {
        return STOP;
    }
    let at = usize::from(page.flow.payload) + index as usize;
    let mut there = Patch::default();
    if page.load(at, &mut there, rewrite.old_len).is_none() {
        return STOP;
    }
    if is_same(&there, &rewrite.old)
        && page
            .swap(at, &there, &rewrite.new, rewrite.old_len)
            .is_some()
    {
        search.found = true;
        search.skip = rewrite.old_len - 1;
    }
    CONTINUE
}
